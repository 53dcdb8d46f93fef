import Architectures
import Testing

@testable import Inference

@Suite("Saved state as bytes")
struct StateArchiveTests {
    private var archive: StateArchive {
        var archive = StateArchive(architecture: "toy")
        archive.sequences = [.init(number: 2, positions: 0...7)]
        archive.cells = [.init(number: 5, position: 3, sequences: [0, 31]), .init(
            number: 6, position: 4, sequences: [1])]
        archive.memories = [
            .init(name: "cache", isRecurrent: false, rowCount: 2, elements: [1, 2, 3, 0.5]),
            .init(name: "scan", isRecurrent: true, rowCount: 3, elements: [0.1, -0.0, .infinity]),
        ]
        archive.encoder = .init(sequences: [[0], [1]], width: 1, elements: [7, 8])
        return archive
    }

    @Test("what is written is read back")
    func roundTrip() throws {
        #expect(try StateArchive(archive.encoded()) == archive)
        #expect(try StateArchive(StateArchive(architecture: "empty").encoded()) == StateArchive(architecture: "empty"))
    }

    @Test("every truncation and every addition is refused")
    func lengths() {
        let bytes = archive.encoded()
        for length in bytes.indices {
            #expect(throws: StateError.self) { try StateArchive(Array(bytes[..<length])) }
        }
        #expect(throws: StateError.self) { try StateArchive(bytes + [0]) }
    }

    @Test("no flipped byte makes it trap, and counts that lie are refused")
    func flips() {
        let bytes = archive.encoded()
        var refused = 0
        for index in bytes.indices {
            for value in [0x00, 0x7F, 0xFF] as [UInt8] {
                var changed = bytes
                changed[index] = value
                do { _ = try StateArchive(changed) } catch { refused += 1 }
            }
        }
        // Elements, positions and sets may be anything that is in range; the structure may not.
        #expect(refused > bytes.count)
    }

    @Test("names that are no names are told on one line")
    func names() throws {
        let model = try Toy(architecture: ArchitectureCatalog.named("llama"), seed: 1).model()
        let session = try model.session()
        var other = archive
        other.architecture = "to\ny" + String(repeating: "x", count: 10_000)
        let architecture = #expect(throws: StateError.self) { try session.restoreState(other.encoded()) }
        #expect(architecture?.reason.hasPrefix("is of a model of \"to\u{FFFD}yxx") == true)
        other.architecture = "llama"
        other.memories[0].name = "\u{2028}"
        let state = #expect(throws: StateError.self) { try session.restoreState(other.encoded()) }
        #expect(state?.reason.hasPrefix("state 0 is \"\u{FFFD}\" of 2; the model's is ") == true)
        for error in [architecture, state] { #expect(error.map { $0.description.count < 200 } == true) }
    }

    @Test("another version is named")
    func version() {
        var bytes = archive.encoded()
        bytes[8] = 9
        let error = #expect(throws: StateError.self) { try StateArchive(bytes) }
        #expect(error?.description == "saved state, offset 8: version 9; this program reads 1")
    }
}
