extension Hyperparameters {
    /// Which blocks are recurrent, a flag each, or all but every so many; prediction blocks are attention.
    /// - Parameter period: of the layers of attention, where the metadata does not say.
    mutating func recurrentLayers(_ dimensions: Dimensions, period: Int, _ about: String) throws -> [Bool] {
        let (layers, interval) = (dimensions.layers, "full_attention_interval")
        let predicting = Array(repeating: false, count: dimensions.predictionBlocks)
        if let flags = try optionalFlags(
            "attention.recurrent_layers", layouts: LayerLayouts.mixtures(of: layers).map { $0 + predicting },
            layers: dimensions.blocks, about)
        {
            try require(
                !flags[layers...].contains(true), "attention.recurrent_layers", "nextn_predict_layers",
                because: "a block that predicts further tokens is attention")
            try note(interval, "which layers are attention, as the other key says it")
            return flags
        }
        let step = try integer(
            interval, 1...512, fuzz: Array(2...max(2, min(layers, 4))), default: period,
            drawsAbsence: layers >= period, "every so many layers, one is attention")
        return (1...layers).map { $0 % step != 0 } + predicting
    }
}

/// How the layers of a hybrid model are laid out when it is drawn.
///
/// Both attention and recurrent layers occur in every layout: the same engines that run hybrids refuse, or
/// abort on, one that lacks either. What has layers of one kind only is an architecture of its own.
enum LayerLayouts {
    /// Numbers of layers, simplest first.
    static let hybridDepths = [2, 3, 4]

    /// Every way to have layers of two kinds, both of which occur; of deep models, the first.
    static func mixtures(of layers: Int) -> [[Bool]] {
        guard (2...6).contains(layers) else { return [(0..<layers).map { $0 == 0 }] }
        return (1..<(1 << layers) - 1).map { bits in (0..<layers).map { bits >> $0 & 1 == 1 } }
    }

    /// Every choice of layers that leaves of both kinds at least one; of deep models, none.
    static func choices(sparing kinds: [Bool]) -> [[Bool]] {
        let none = kinds.map { _ in false }
        guard kinds.count <= 6 else { return [none] }
        let all = (0..<1 << kinds.count).map { bits in kinds.indices.map { bits >> $0 & 1 == 1 } }
        return all.filter { choice in
            let left = zip(kinds, choice).filter { !$0.1 }.map(\.0)
            return left.contains(true) && left.contains(false)
        } + (Set(kinds).count < 2 ? [none] : [])
    }

    /// One of `values` for each layer where `flags` holds, 0 elsewhere: the same for all, then differing.
    static func values(_ values: [Int], where flags: [Bool]) -> [[Int]] {
        guard flags.contains(true), let first = values.first else { return [flags.map { _ in 0 }] }
        let alike = values.map { value in flags.map { $0 ? value : 0 } }
        guard values.contains(where: { $0 != first }) else { return alike }
        return alike + values.indices.map { start in
            flags.enumerated().map { layer, flag in flag ? values[(start + layer) % values.count] : 0 }
        }
    }

    /// Which layers of a model with latent attention are recurrent: those without a head of the cache.
    static func recurrentLayers(_ h: inout some Hyperparameters, _ dimensions: Dimensions) throws -> [Bool] {
        let predicting = Array(repeating: 1, count: dimensions.predictionBlocks)
        let layouts = mixtures(of: dimensions.layers).flatMap { values([1], where: $0) }.map { $0 + predicting }
        return try h.integers(
            "attention.head_count_kv", 0...1, layouts: layouts, layers: dimensions.blocks,
            default: Array(repeating: 1, count: dimensions.blocks),
            "heads of the cache of latent attention; 0: the layer is delta attention").map { $0 == 0 }
    }
}
