import DeviceTestSupport
import ModelGraph
import Testing

@Suite("Reference: elementwise, shape, norms") struct ReferenceElementwiseTests {
    @Test(
        "functions have their published values",
        arguments: [
            (Unary.silu, [0, 0.7310585786300049, -0.2689414213699951]),
            (.gelu, [0, 0.8411919906082768, -0.15880800939172324]),
            (.geluErf, [0, 0.8413447460685429, -0.15865525393145707]),
            (.relu, [0, 1, 0]), (.squaredReLU, [0, 1, 0]), (.sigmoid, [0.5, 0.7310585786300049, 0.2689414213699951]),
            (.tanh, [0, 0.7615941559557649, -0.7615941559557649]), (.exp, [1, 2.718281828459045, 0.36787944117144233]),
            (.softplus, [0.6931471805599453, 1.3132616875182228, 0.31326168751822286]),
        ])
    func unary(function: Unary, expected: [Double]) throws {
        #expect(close(try value { $0.real([3], [0, 1, -1])(function) }, expected))
    }

    @Test("softplus and silu neither overflow nor lose small results")
    func farOut() throws {
        let softplus = try value { $0.real([3], [-40, 800, -800])(.softplus) }
        #expect(close(softplus, [4.248354255291589e-18, 800, 0], 1e-30))
        #expect(try value { $0.real([2], [1000, -1000])(.silu) } == [1000, 0])
    }

    @Test("binary repeats the second operand over the first")
    func binary() throws {
        let a = [1.0, 2, 3, 4, 5, 6]
        #expect(try value { $0.real([2, 3], a) - $0.real([3], [1, 2, 3]) } == [0, 0, 0, 3, 3, 3])
        #expect(try value { $0.real([2, 3], a) * $0.real([2, 1], [2, 10]) } == [2, 4, 6, 40, 50, 60])
        #expect(try value { $0.real([2, 3], a) / $0.real([1], [2]) } == [0.5, 1, 1.5, 2, 2.5, 3])
        #expect(try value { $0.real([2, 1, 2], [1, 2, 3, 4]) + $0.real([1, 1, 2], [10, 20]) } == [11, 22, 13, 24])
    }

    @Test("affine, clamp and softcap")
    func scalars() throws {
        #expect(try value { $0.graph.apply(.affine(scale: 2, bias: -1), $0.real([3], [-1, 0, 4])) } == [-3, -1, 7])
        #expect(try value { $0.real([3], [-1, 0, 4]).clamped(-0.5, 2) } == [-0.5, 0, 2])
        #expect(
            close(try value { $0.real([3], [1e9, -1e9, 15]).softcapped(30) }, [30, -30, 30 * 0.46211715726000975]))
    }

    @Test("gated activations")
    func gated() throws {
        func gated(_ activation: GatedActivation) throws -> [Double] {
            try value { $0.graph.apply(.gated(activation), $0.real([2], [1, 9]), $0.real([2], [3, -9])) }
        }
        #expect(close(try gated(.swiglu), [2.1931757358900147, -80.9900050393451]))
        #expect(close(try gated(.geglu), [2.5235759718248304, -81]))
        // The second: gate 7, up −7: 7 · sigmoid(14) · −6.
        #expect(
            close(try gated(.clampedSwiGLU(alpha: 2, limit: 7)), [0.8807970779778823 * 4, -42 * 0.9999991684719722]))
    }

    @Test("slices joined along the same axis are the original", arguments: 0..<3)
    func slices(axis: Int) throws {
        let x = (0..<60).map { Double($0) }
        let y = try value {
            let x = $0.real([3, 4, 5], x)
            return $0.graph.apply(.concatenate(axis: axis), x.slice(axis, 0, 1), x.slice(axis, 1, x.shape[axis] - 1))
        }
        #expect(y == x)
    }

    @Test("slice takes the elements asked for")
    func slice() throws {
        #expect(try value { $0.real([2, 3], [1, 2, 3, 4, 5, 6]).columns(1, 2) } == [2, 3, 5, 6])
        #expect(try value { $0.real([2, 3], [1, 2, 3, 4, 5, 6]).slice(0, 1, 1) } == [4, 5, 6])
    }

    @Test("broadcast aligns at the last dimension")
    func broadcast() throws {
        #expect(try value { $0.real([2], [1, 2]).broadcast([2, 2]) } == [1, 2, 1, 2])
        #expect(try value { $0.real([2, 1], [1, 2]).broadcast([2, 2]) } == [1, 1, 2, 2])
        #expect(try value { $0.real([2, 1, 2], [1, 2, 3, 4]).broadcast([2, 2, 2]) } == [1, 2, 1, 2, 3, 4, 3, 4])
    }

    @Test("sum reduces one axis")
    func sum() throws {
        let x = (1...8).map(Double.init)
        #expect(try value { $0.real([2, 2, 2], x).sum(0) } == [6, 8, 10, 12])
        #expect(try value { $0.real([2, 2, 2], x).sum(1) } == [4, 6, 12, 14])
        #expect(try value { $0.real([2, 2, 2], x).sum(2) } == [3, 7, 11, 15])
    }

    @Test("norms divide by what their names say, then scale and shift")
    func norms() throws {
        func norm(_ kind: Norm, _ epsilon: Double) throws -> [Double] {
            try value {
                $0.real([1, 2], [3, 5]).norm(
                    kind, epsilon, $0.weight([2], .f32, [2, 4]), $0.weight([2], .f32, [1, -1]))
            }
        }
        #expect(close(try norm(.layer, 0), [-1, 3]))
        #expect(close(try norm(.layer, 3), [0, 1]))
        #expect(close(try norm(.rms, 8), [2 * 3 / 5 + 1, 4 * 5 / 5 - 1]))
        #expect(close(try norm(.l2, 2), [2 * 3 / 6 + 1, 4 * 5.0 / 6 - 1]))
        #expect(close(try norm(.unit, 10), [2 * 3 / 10 + 1, 4 * 5 / 10 - 1]))
        #expect(try value { $0.real([1, 2], [0, 0]).norm(.unit, 1e-6) } == [0, 0])
    }

    @Test("softmax of scores that differ by ln 3, however large")
    func softmax() throws {
        let y = try value { $0.real([2, 2]) { _ in [0, 1.0986123, 700, 700] }.softmax() }
        #expect(close(y, [0.25, 0.75, 0.5, 0.5], 1e-7))
    }
}
