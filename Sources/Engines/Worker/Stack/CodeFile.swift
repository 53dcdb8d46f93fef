#if os(Linux)
    import CSystem
    import Foundation

    /// A file that a worker has named: it may be anything.
    final class CodeFile {
        /// Bytes of a table: those of the largest libraries are a fraction of that.
        private static let longest: UInt64 = 1 << 27
        private let descriptor: Int32
        private let size: UInt64

        /// - Returns: nil where it cannot be read, or is no file of bytes.
        init?(_ path: String) {
            // A pipe without a writer would block here for ever.
            descriptor = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK)
            var status = stat()
            let isFile = descriptor >= 0 && fstat(descriptor, &status) == 0 && status.st_mode & S_IFMT == S_IFREG
            size = isFile ? UInt64(max(0, status.st_size)) : 0
            if !isFile { return nil }
        }

        deinit { if descriptor >= 0 { close(descriptor) } }

        /// Values that have no padding, of which any bits are one.
        /// - Returns: nil where they are not all there.
        func read<Value>(_: Value.Type, at offset: UInt64, count: UInt64) -> [Value]? {
            let stride = UInt64(MemoryLayout<Value>.stride)
            guard offset <= size, count <= min(size - offset, Self.longest) / stride else { return nil }
            let wanted = Int(count)
            let values = [Value](unsafeUninitializedCapacity: wanted) { buffer, count in
                let bytes = UnsafeMutableRawBufferPointer(buffer)
                var done = 0
                while done < wanted * MemoryLayout<Value>.stride {
                    let rest = UnsafeMutableRawBufferPointer(rebasing: bytes[done...])
                    let read = pread(descriptor, rest.baseAddress, rest.count, off_t(offset) + off_t(done))
                    if read < 0 && errno == EINTR { continue }
                    guard read > 0 else { break }
                    done += read
                }
                count = done / MemoryLayout<Value>.stride
            }
            return values.count == wanted ? values : nil
        }
    }

    extension CodeFile {
        /// The libraries that an ELF file needs, by the names that it has for them; none where it is no such file.
        var neededLibraries: [String] {
            guard let header = read(Elf64_Ehdr.self, at: 0, count: 1)?.first, header.hasNativeLayout,
                let sections = read(Elf64_Shdr.self, at: header.e_shoff, count: UInt64(header.e_shnum)),
                let table = sections.first(where: { $0.sh_type == SHT_DYNAMIC }),
                sections.indices.contains(Int(table.sh_link)), case let texts = sections[Int(table.sh_link)],
                let names = read(UInt8.self, at: texts.sh_offset, count: texts.sh_size),
                let entries = read(
                    Elf64_Dyn.self, at: table.sh_offset, count: table.sh_size / UInt64(MemoryLayout<Elf64_Dyn>.stride))
            else { return [] }
            return entries.filter { $0.d_tag == DT_NEEDED && $0.d_un.d_val < names.count }.map { entry in
                String(decoding: names[Int(entry.d_un.d_val)...].prefix { $0 != 0 }, as: UTF8.self)
            }
        }
    }

    extension Elf64_Ehdr {
        var hasNativeLayout: Bool {
            let order = UInt16(1).littleEndian == 1 ? ELFDATA2LSB : ELFDATA2MSB
            let identification = [e_ident.0, e_ident.1, e_ident.2, e_ident.3, e_ident.4, e_ident.5]
            return identification == Array("\u{7F}ELF".utf8) + [UInt8(ELFCLASS64), UInt8(order)]
                && Int(e_phentsize) == MemoryLayout<Elf64_Phdr>.stride
                && Int(e_shentsize) == MemoryLayout<Elf64_Shdr>.stride
        }
    }
#endif
