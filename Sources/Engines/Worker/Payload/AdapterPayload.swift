extension AdapterFile: PayloadValue {
    init(reading payload: inout PayloadReader) throws {
        self.init(path: try payload.read())
        scale = try payload.numbers(1)[0]
        guard try payload.flag() else { return }
        let first = try payload.integer(in: 0...)
        layers = first...(try payload.integer(in: first...))
    }

    func write(to payload: inout PayloadWriter) {
        payload.write(path)
        payload.append(numbers: [scale])
        payload.write(layers != nil)
        if let layers { payload.write(layers.lowerBound, layers.upperBound) }
    }
}
