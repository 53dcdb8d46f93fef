/// Rows of text in columns as wide as they need; two spaces between them.
struct TextTable {
    var titles: [String]
    /// Columns whose cells end at the same place, numbers for the most part.
    var rightAligned: Set<Int> = []
    var rows: [[String]] = []
    var indentation = 0

    init(_ titles: [String] = [], rightAligned: Set<Int> = [], indentation: Int = 0) {
        self.titles = titles
        self.rightAligned = rightAligned
        self.indentation = indentation
    }

    mutating func append(_ cells: String...) { rows.append(cells.map(Terminal.printable)) }

    var lines: [String] {
        let all = (titles.isEmpty ? [] : [titles]) + rows
        let columns = all.map(\.count).max() ?? 0
        // A row of one cell is a heading over all columns.
        let whole = all.filter { $0.count > 1 || columns == 1 }
        let widths = (0..<columns).map { column in whole.map { column < $0.count ? $0[column].count : 0 }.max() ?? 0 }
        return all.map { cells in
            let padded = cells.enumerated().map { column, cell in
                cell.padded(to: widths[column], alignsRight: rightAligned.contains(column))
            }
            let line = String(repeating: " ", count: indentation) + padded.joined(separator: "  ")
            return String(line.reversed().drop { $0 == " " }.reversed())
        }
    }

    func print() { for line in lines { Swift.print(line) } }
}
