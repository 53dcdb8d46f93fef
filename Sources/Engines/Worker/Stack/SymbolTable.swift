#if os(Linux)
    import CSystem
    import Foundation

    /// The functions that an ELF file names, by where in the file their code is.
    struct SymbolTable {
        private struct Function {
            /// Of the file.
            var bytes: Range<UInt64>
            /// Where its name begins in `names`.
            var name: Int
            var isGlobal: Bool
        }
        /// In the order of their beginnings, each of which is there once.
        private let functions: [Function]
        private let names: [UInt8]

        /// Reads the whole table of symbols where there is one, else that of what the file exports.
        /// - Returns: nil where it is no ELF file of 64 bits and this machine's byte order, or has neither.
        init?(path: String) {
            guard let file = CodeFile(path), let header = file.read(Elf64_Ehdr.self, at: 0, count: 1)?.first,
                header.hasNativeLayout,
                let segments = file.read(Elf64_Phdr.self, at: header.e_phoff, count: UInt64(header.e_phnum)),
                let sections = file.read(Elf64_Shdr.self, at: header.e_shoff, count: UInt64(header.e_shnum)),
                let table = sections.first(where: { $0.sh_type == SHT_SYMTAB })
                    ?? sections.first(where: { $0.sh_type == SHT_DYNSYM }),
                sections.indices.contains(Int(table.sh_link)), case let texts = sections[Int(table.sh_link)],
                let names = file.read(UInt8.self, at: texts.sh_offset, count: texts.sh_size),
                let symbols = file.read(
                    Elf64_Sym.self, at: table.sh_offset, count: table.sh_size / UInt64(MemoryLayout<Elf64_Sym>.stride))
            else { return nil }
            // Most files have one.
            let code = Array(segments.lazy.filter { $0.p_type == PT_LOAD && $0.p_flags & UInt32(PF_X) != 0 }.prefix(16))
            var functions: [Function] = []
            functions.reserveCapacity(symbols.count)
            for symbol in symbols where symbol.isFunction && symbol.st_name < names.count {
                let address = symbol.st_value
                guard let segment = code.first(where: { address >= $0.p_vaddr && address - $0.p_vaddr < $0.p_filesz })
                else { continue }
                let start = address - segment.p_vaddr &+ segment.p_offset
                let (end, overflow) = start.addingReportingOverflow(symbol.st_size)
                if overflow { continue }
                functions.append(Function(bytes: start..<end, name: Int(symbol.st_name), isGlobal: symbol.isGlobal))
            }
            // Of several names of the same code always the same one, in whatever order a linker has put them.
            functions.sort { one, other in
                if one.bytes.lowerBound != other.bytes.lowerBound {
                    return one.bytes.lowerBound < other.bytes.lowerBound
                }
                if one.isGlobal != other.isGlobal { return one.isGlobal }
                return Self.name(one, names).lexicographicallyPrecedes(Self.name(other, names))
            }
            var start: UInt64?
            functions.removeAll { function in
                defer { start = function.bytes.lowerBound }
                return function.bytes.lowerBound == start
            }
            self.functions = functions
            self.names = names
        }

        /// - Parameter offset: of a byte of the file.
        /// - Returns: the symbol of the function whose code this is; nil where no symbol covers it.
        func function(at offset: UInt64) -> String? {
            var (low, high) = (0, functions.count)
            while low < high {
                let middle = (low + high) / 2
                if functions[middle].bytes.lowerBound <= offset { low = middle + 1 } else { high = middle }
            }
            guard low > 0, functions[low - 1].bytes.contains(offset) else { return nil }
            return String(decoding: Self.name(functions[low - 1], names), as: UTF8.self)
        }

        /// Cut where it is longer than anybody reads.
        private static func name(_ function: Function, _ names: [UInt8]) -> ArraySlice<UInt8> {
            names[function.name...].prefix(4096).prefix { $0 != 0 }
        }
    }

    extension Elf64_Sym {
        fileprivate var isFunction: Bool {
            [STT_FUNC, STT_GNU_IFUNC].contains(Int32(st_info & 15)) && Int32(st_shndx) != SHN_UNDEF && st_size > 0
        }
        fileprivate var isGlobal: Bool { Int32(st_info >> 4) == STB_GLOBAL }
    }
#endif
