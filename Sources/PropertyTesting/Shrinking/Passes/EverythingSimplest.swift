extension ShrinkPass {
    /// Makes every choice the simplest: some failures happen on everything, and then one evaluation says so.
    static let everythingSimplest = ShrinkPass("everything simplest") { search in
        search.attempt([])
    }
}
