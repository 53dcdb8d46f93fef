import Architectures
import Devices
import Engines
import GGUF
import Inference
import PropertyTesting

// Engines that have optimisers of their own.
extension Trial {
    /// A step of each of the engine's optimisers goes where the reference's gradient says, within the noise floor.
    mutating func compareSteps(of model: any EngineModel) throws {
        stage = "train"
        let filled = try filledScript(isPeriodic: false)
        var subject = subject
        subject.script = filled
        let loaded = LoadedCase(subject, sharing: loaded)
        var inner = Trial(loaded, device, Reference(loaded, engines.oracle), engines)
        inner.precision = precision
        inner.needsProof = needsProof
        inner.stage = stage
        defer { worst = inner.worst }
        for step in [Training.plainStep, .adaptiveStep] {
            let (trained, source) = try train(model, filled, step)
            if !trained.untrained.isEmpty { note(["tensors that the engine does not train stay as they are"]) }
            let gradient = try step.gradient(from: loaded.source(), to: source)
            let expected = try inner.reference.transcript()
            var found = Transcript()
            found.results = [StepResult(logits: Rows(keys: [0], width: 1, elements: trained.losses))]
            for (info, right) in zip(try loaded.source().tensors, expected.results.dropFirst()) {
                let isLeft = trained.untrained.contains(info.name) || right.rows == nil
                let elements = isLeft ? nil : gradient[info.name]
                found.results.append(
                    elements.map { StepResult(logits: Rows(keys: [0], width: $0.count, elements: $0)) } ?? right)
            }
            try inner.compareWithReference(found)
        }
    }

    /// What the engine's optimiser teaches a model, the model says.
    mutating func expectLearning(by engine: any Engine) throws {
        let filled = try filledScript(isPeriodic: true)
        let training = Training.byHeart(steps: Self.steps)
        let lesson = Lesson(filled, training)
        let model = try load { [loaded] in try engine.load(loaded.source()) }
        stage = "train"
        let (trained, source) = try train(model, filled, training)
        guard let mistake = try lesson.mistake(of: source) else { return }
        let own = try lesson.result(of: loaded.source(), without: trained.untrained)
        // Steps of two optimisers part from each other: what is learned well by one, the other learns.
        guard try lesson.mistake(of: own, leastLead: 0.25) == nil else { throw Discard(reason: "\(Lesson.Unlearned())") }
        throw Wrong(stage: stage, kind: "learns something else", seen: mistake)
    }

    /// Enough for most toys.
    private static let steps = 150
    /// What all engines' contexts are multiples of, so far.
    private static let context = 256

    /// - Parameter isPeriodic: whether the case's tokens come again and again; else others come after them, at random:
    ///   sums of what is always the same have errors that are no noise.
    private func filledScript(isPeriodic: Bool) throws -> Script {
        let traits = try loaded.sessionTraits()
        guard Lesson.applies(to: traits), !traits.traits.hasEncoder else {
            throw Unsupported("training of a model that says no text by itself")
        }
        guard Self.context <= traits.positionLimit ?? .max else {
            throw Unsupported("training of a model of fewer than \(Self.context) positions")
        }
        guard let own = script.onlyBatch?.batch.tokens.map(\.id), !own.isEmpty else {
            throw Unsupported("training on other than one batch")
        }
        let silent = try ArchitectureCatalog.type(of: loaded.source().metadata).silentTokens
        let audible = (0..<traits.dimensions.vocabulary).filter { !silent.contains($0) }
        guard !audible.isEmpty else { throw Unsupported("training of a model that never says a token") }
        var random = RandomStream(seed: subject.recipe.seed, stream: 0x7E97)
        let ids = (0..<Self.context).map { index in
            if isPeriodic { return own[index % own.count] }
            return index < own.count ? own[index] : audible[Int(random.next(below: UInt64(audible.count)))]
        }
        return Script(
            placement: script.placement, options: .init(context: Self.context, microBatch: Self.context),
            steps: [.process(Batch(ids))])
    }

    /// - Returns: what the engine says of it, and the model as it is then.
    private func train(
        _ model: any EngineModel, _ script: Script, _ training: Training
    ) throws -> (Trained, any TensorSource) {
        let file = try TemporaryFile()
        let trained = try survive { try model.train(script, training, to: file.path) }
        guard let bytes = file.contents(limit: Self.longestFile) else {
            throw Discard(reason: "limit: a saved model of more than \(Self.longestFile >> 20) MiB is not read")
        }
        let saved = FileSource(try GGUFFile(bytes: bytes, name: "the trained model"))
        let known = Dictionary(saved.tensors.map { ($0.name, $0) }) { first, _ in first }
        let own = try loaded.source()
        if let missing = own.tensors.first(where: { known[$0.name]?.shape.count != $0.shape.count }) {
            throw Wrong(stage: "save", kind: "other tensors", seen: "\(missing.name) is missing")
        }
        // What an engine writes of the metadata is another check's.
        let source = try MemorySource(
            own.metadata, optional: .of(own.tensors), type: { known[$0.name]?.type ?? .f32 }
        ) { tensor in
            guard let info = known[tensor.name] else { throw ModelError(subject: tensor.name, reason: "is missing") }
            var data = try saved.data(of: info)
            data.shape = tensor.shape
            return data
        }
        return (trained, source)
    }
}

extension Training {
    // Steps so long that the weights that were there are lost in them, and the gradient can be told from where they go.
    fileprivate static let plainStep = Training(.sgd, steps: 1, rate: 0x1p40)
    /// Both means of the gradient count, as gradients are of this size.
    fileprivate static let adaptiveStep: Training = {
        var training = Training(.adamW, steps: 1, rate: 0x1p40)
        training.epsilon = 1
        return training
    }()

    /// The gradient of which one such step, without decay of weights, goes from one model to another, by tensor.
    fileprivate func gradient(
        from before: any TensorSource, to after: any TensorSource
    ) throws -> [String: [Double]] {
        let known = Dictionary(before.tensors.map { ($0.name, $0) }) { first, _ in first }
        var gradient: [String: [Double]] = [:]
        for info in after.tensors {
            guard let old = known[info.name], old.shape.count == info.shape.count else { continue }
            gradient[info.name] = zip(try before.elements(of: old), try after.elements(of: info)).map { old, new in
                let direction = (old - new) / Double(rate)
                return optimiser == .sgd ? direction : direction * Double(epsilon) / (1 - abs(direction))
            }
        }
        return gradient
    }
}

extension TensorSource {
    /// A tensor's elements, decoded.
    func elements(of tensor: TensorInfo) throws -> [Double] {
        let data = try data(of: tensor)
        return try [Double](unsafeUninitializedCapacity: tensor.shape.count) { elements, count in
            let room = UnsafeMutableBufferPointer(rebasing: elements[..<tensor.shape.count])
            try data.bytes.withBytes { try data.type.decode($0, order: data.byteOrder, into: room) }
            count = tensor.shape.count
        }
    }
}
