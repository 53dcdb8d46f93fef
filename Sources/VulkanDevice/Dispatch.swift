import ModelGraph

/// One run of a shader, before weights and states are known.
struct Dispatch {
    /// Where a binding lies.
    enum Place: Hashable {
        /// Bytes of the segment's arena, from this one on.
        case arena(Int, bytes: Int)
        /// A weight in its own format, which specialisation constants then give.
        case weight(Int)
        /// A weight as float32.
        case floats(Int)
        case state(StateID)
    }

    /// How a shader uses a binding.
    enum Access { case read, write, readWrite }

    struct Binding {
        var place: Place
        var access: Access

        static func read(_ place: Place) -> Binding { Binding(place: place, access: .read) }
        static func write(_ place: Place) -> Binding { Binding(place: place, access: .write) }
        static func readWrite(_ place: Place) -> Binding { Binding(place: place, access: .readWrite) }
    }

    /// Who sets a specialisation constant.
    enum Constant {
        case value(UInt32)
        /// Of the format of the weight bound here, `float32` for other places.
        case format(WeightFormat.Property, binding: Int)
        /// Whether this state is kept in half precision.
        case isHalf(StateID)

        /// All that there is to say of a format.
        static func format(binding: Int) -> [Constant] {
            WeightFormat.Property.allCases.map { .format($0, binding: binding) }
        }
        static func flag(_ value: Bool) -> Constant { .value(value ? 1 : 0) }
    }

    var shader: Shader
    var constants: [Constant] = []
    var bindings: [Binding]
    var push: [UInt32]
    /// Workgroups.
    var groups: Int
}
