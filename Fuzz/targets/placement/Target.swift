import FuzzTarget
import Inference

/// Placements, and the patterns of tensors' names in them: as text one reads as what it was.
@main
struct Target: FuzzTarget {
    private let names = ["", "blk.1.ffn_up.weight", "output_norm.weight", String(repeating: "a", count: 64)]

    func read(_ input: [UInt8]) throws {
        let placement = try Placement(parsing: String(decoding: input, as: UTF8.self))
        let again = try Placement(parsing: placement.description)
        expect(again == placement, "another placement: \(placement)")
        for layer in [nil, 0, 1, Int.max] { _ = placement.device(ofLayer: layer) }
        for name in names { _ = try placement.device(ofTensor: name) }
    }

    var seeds: [[UInt8]] {
        [
            "vulkan0", "vulkan0,0-3=cpu", "cpu,4-=vulkan0", #"vulkan0,blk\.1\.ffn_.*=cpu"#,
            #"cpu,2=x:0,(a|b[^c]{1,2})+?$=y"#, #"cpu,^(?!.*norm)\w+\x2C\p{L}=x"#,
        ].map { Array($0.utf8) }
    }
}
