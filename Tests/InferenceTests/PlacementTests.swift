import Testing

@testable import Inference

@Suite("Placements")
struct PlacementTests {
    @Test("a text names the default, ranges of layers and tensors")
    func parsing() throws {
        let placement = try Placement(parsing: #"vulkan0,0-1=cpu,4-=reference,7=vulkan1,blk\.1\.ffn_.*=llama:CPU"#)
        #expect(placement.device(ofLayer: nil) == "vulkan0")
        #expect(
            (0..<8).map { placement.device(ofLayer: $0) } == [
                "cpu", "cpu", "vulkan0", "vulkan0", "reference", "reference", "reference", "vulkan1"
            ])
        #expect(try placement.device(ofTensor: "blk.1.ffn_up.weight") == "llama:CPU")
        #expect(try placement.device(ofTensor: "blk.11.ffn_up.weight") == nil)
        #expect(try placement.device(ofTensor: "x.blk.1.ffn_up.weight") == nil)
    }

    @Test("its description reads back as itself")
    func description() throws {
        let placement = try Placement(parsing: #"vulkan0,0-1=cpu,3=cpu,4-=reference,output\.weight=cpu"#)
        #expect(try Placement(parsing: placement.description) == placement)
    }

    @Test("without a default of its own a text takes the given one")
    func defaultDevice() throws {
        #expect(try Placement(parsing: "2=vulkan0", defaultDevice: "reference").device(ofLayer: 0) == "reference")
    }

    @Test("an accent at the beginning of a pattern is the pattern's")
    func accents() throws {
        let placement = try Placement(parsing: "cpu,\u{301}a=x,b=y")
        #expect(placement.tensors.map(\.pattern) == ["\u{301}a", "b"])
        #expect(try Placement(parsing: placement.description) == placement)
    }

    @Test(
        "an entry that makes no sense is quoted",
        arguments: ["", "cpu,", "=cpu", "3-1=cpu", "1-2-3=cpu", "1=", "(=cpu", "99999999999999999999=cpu", "c p u"])
    func errors(_ text: String) {
        let error = #expect(throws: PlacementError.self) { try Placement(parsing: text) }
        #expect(error?.description.contains("placement \"") == true)
    }
}
