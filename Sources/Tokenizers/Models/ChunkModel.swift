/// A token for every five bytes, by their hash.
struct ChunkModel: TokenizerModel {
    let count: Int

    func encode(_ text: [UInt8], into ids: inout [Int]) {
        for start in stride(from: 0, to: text.count, by: 5) {
            let hash = text[start..<min(start + 5, text.count)].reduce(0) { $0 * 31 + Int($1) }
            ids.append(hash % count)
        }
    }
}
