/// Replays a recording by spans instead of by position: the k-th span of a label within a span replays the
/// k-th recorded one of that label there, and choices between spans replay those recorded between spans.
struct SpanReplay: Sendable {
    /// A span being replayed: its own choices, that is those in no inner span, and its inner spans.
    private struct Frame {
        var choices: ArraySlice<Int> = []
        var inner: [Int] = []
    }

    private let recording: Choices.Recording
    private let frames: [Frame]
    /// The spans around the next choice; the whole recording is the first.
    private var open: [Frame]
    private var isRead: [Bool]

    init(_ recording: Choices.Recording) {
        // Frame 0 is the whole; frame i + 1 is span i.
        var frames = Array(repeating: Frame(), count: recording.spans.count + 1)
        var owner = Array(repeating: 0, count: recording.choices.count)
        var around: [Int] = []
        for (index, span) in recording.spans.enumerated() {
            while let last = around.last, recording.spans[last].depth >= span.depth { around.removeLast() }
            frames[(around.last ?? -1) + 1].inner.append(index)
            around.append(index)
            // Inner spans come later, and take over what is theirs.
            for position in span.range { owner[position] = index + 1 }
        }
        for (position, frame) in owner.enumerated() { frames[frame].choices.append(position) }
        self.recording = recording
        self.frames = frames
        open = [frames[0]]
        isRead = recording.choices.map { _ in false }
    }

    /// The recorded choices that were not drawn again.
    var unread: [Int] { isRead.indices.filter { !isRead[$0] } }

    mutating func next() -> UInt64? {
        guard let position = open[open.count - 1].choices.popFirst() else { return nil }
        isRead[position] = true
        return recording.choices[position].value
    }

    mutating func begin(_ label: String) {
        let parent = open.count - 1
        if let place = open[parent].inner.firstIndex(where: { recording.spans[$0].label == label }) {
            open.append(frames[open[parent].inner.remove(at: place) + 1])
        } else {
            open.append(Frame())
        }
    }

    mutating func end() { open.removeLast() }
}
