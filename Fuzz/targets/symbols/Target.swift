import Foundation
import FuzzTarget

@testable import Engines

/// Files of code that a dying worker names, which may be anything: whatever symbols they hold, functions have names.
@main
struct Target: FuzzTarget {
    func read(_ input: [UInt8]) throws {
        guard let table = SymbolTable(path: try file(input)) else { return }
        for offset in input.indices {
            if let symbol = table.function(at: UInt64(offset)) { _ = FunctionName.of(symbol: symbol) }
        }
    }

    /// A file of one segment of code, and symbols that cover it in equal parts.
    var seeds: [[UInt8]] {
        ["main", "ggml_abort", "_ZN4ggml6vectorIfE4pushEf.cold", "$s7Engines12WorkerEngineC4loadyyF"].map { symbol in
            func bytes(_ value: some Any) -> [UInt8] { withUnsafeBytes(of: value) { Array($0) } }
            let names = [0] + Array(symbol.utf8) + [0]
            let headerSize = MemoryLayout<Elf64_Ehdr>.size, segmentSize = MemoryLayout<Elf64_Phdr>.size
            let symbolSize = MemoryLayout<Elf64_Sym>.size, sectionSize = MemoryLayout<Elf64_Shdr>.size
            let symbols = headerSize + segmentSize, texts = symbols + 2 * symbolSize, sections = texts + names.count
            let size = sections + 2 * sectionSize

            var header = Elf64_Ehdr()
            withUnsafeMutableBytes(of: &header.e_ident) {
                $0.copyBytes(from: Array("\u{7F}ELF".utf8) + [UInt8(ELFCLASS64), UInt8(ELFDATA2LSB), 1])
            }
            (header.e_phoff, header.e_phnum, header.e_phentsize) = (UInt64(headerSize), 1, UInt16(segmentSize))
            (header.e_shoff, header.e_shnum, header.e_shentsize) = (UInt64(sections), 2, UInt16(sectionSize))
            let segment = Elf64_Phdr(
                p_type: UInt32(PT_LOAD), p_flags: UInt32(PF_X | PF_R), p_offset: 0, p_vaddr: 0, p_paddr: 0,
                p_filesz: UInt64(size), p_memsz: UInt64(size), p_align: 1)
            let functions = (0..<2).map { index in
                Elf64_Sym(
                    st_name: UInt32(index), st_info: UInt8(STB_GLOBAL << 4 | STT_FUNC), st_other: 0, st_shndx: 1,
                    st_value: UInt64(index * size / 2), st_size: UInt64(size / 2))
            }
            var tables = [Elf64_Shdr(), Elf64_Shdr()]
            (tables[0].sh_type, tables[0].sh_link) = (UInt32(SHT_SYMTAB), 1)
            (tables[0].sh_offset, tables[0].sh_size) = (UInt64(symbols), UInt64(2 * symbolSize))
            (tables[1].sh_offset, tables[1].sh_size) = (UInt64(texts), UInt64(names.count))
            return bytes(header) + bytes(segment) + functions.flatMap(bytes) + names + tables.flatMap(bytes)
        }
    }
}
