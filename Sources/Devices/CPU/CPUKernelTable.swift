import CKernels

/// The kernels for one instruction set, which are constant and live for ever.
struct CPUKernelTable: @unchecked Sendable {
    private let table: UnsafePointer<CPUKernels>

    private init(_ table: UnsafePointer<CPUKernels>) { self.table = table }

    var functions: CPUKernels { table.pointee }
    /// The instruction set's common name.
    var name: String { String(cString: table.pointee.name) }

    /// For the best instruction set of this machine.
    static let best = CPUKernelTable(cpu_kernels())
    /// For each instruction set that this machine has, so that tests reach every path.
    static let all = (0..<Int(CPU_INSTRUCTION_SETS)).compactMap { cpu_kernels_at($0).map(CPUKernelTable.init) }
}
