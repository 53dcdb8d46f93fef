import Devices
import GGUF
import ModelGraph

/// A value on the host, where a fault can change it. Indices are numbers too.
struct Elements {
    let shape: Shape
    let element: Element
    /// Row-major.
    var values: [Double]

    init(_ info: Graph.ValueInfo, _ values: [Double]) {
        self.init(info.shape, values, element: info.element)
    }

    init(_ shape: Shape, _ values: [Double], element: Element = .real) {
        self.shape = shape
        self.element = element
        self.values = values
    }

    var host: HostTensor { element == .index ? .index(values.map { Int32($0) }) : .double(values) }

    subscript(_ index: Int) -> Double {
        get { values[index] }
        set { values[index] = newValue }
    }

    /// Contiguous row `index`: along the last dimension.
    subscript(row index: Int) -> [Double] {
        get { Array(values[index * shape.last..<(index + 1) * shape.last]) }
        set { values.replaceSubrange(index * shape.last..<(index + 1) * shape.last, with: newValue) }
    }

    private var blockSize: Int { shape.count / shape[0] }

    /// Element `index` of the first dimension: mostly a token.
    subscript(block index: Int) -> [Double] {
        get { Array(values[index * blockSize..<(index + 1) * blockSize]) }
        set { values.replaceSubrange(index * blockSize..<(index + 1) * blockSize, with: newValue) }
    }

    mutating func map(_ function: (Double) -> Double) {
        for index in values.indices { values[index] = function(values[index]) }
    }

    mutating func mapRows(_ change: (inout [Double]) -> Void) {
        for index in 0..<shape.rows {
            var row = self[row: index]
            change(&row)
            self[row: index] = row
        }
    }

    /// Sets what lies in a row from a column on to zero, as if nothing had ever been there.
    mutating func zeroRows(from column: Int) {
        mapRows { row in for index in column..<row.count { row[index] = 0 } }
    }

    mutating func zeroBlocks(from block: Int) {
        for index in block * blockSize..<values.count { values[index] = 0 }
    }
}

extension Double {
    /// Rounded to IEEE half precision.
    var half: Double { Double(HalfPrecision.rounded(Float(self))) }
    /// Cut to bfloat16.
    var brain: Double { Double(Float(bitPattern: Float(self).bitPattern & 0xFFFF_0000)) }
}
