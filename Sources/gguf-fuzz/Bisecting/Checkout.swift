import Foundation

/// A git checkout in which revisions are built, and which is left as it was found.
struct Checkout {
    /// The top folder, in which commands are run.
    let folder: String
    /// Where HEAD was: the name of a branch, or a commit.
    let origin: String
    private let isDetached: Bool

    /// - Parameter path: the checkout, or a folder in it.
    /// - Throws: `CommandError` for what is no checkout, has changes, or is in the middle of something.
    init(_ path: String) throws {
        var isFolder: ObjCBool = false
        guard FileManager.default.fileExists(atPath: path, isDirectory: &isFolder), isFolder.boolValue else {
            throw CommandError("\(path): no such folder")
        }
        guard let top = try Self.git(["rev-parse", "--show-toplevel"], in: path).success else {
            throw CommandError("\(path): is no checkout of a git repository")
        }
        folder = top
        for (name, work) in [
            ("BISECT_LOG", "bisect"), ("MERGE_HEAD", "merge"), ("CHERRY_PICK_HEAD", "cherry-pick"),
            ("REVERT_HEAD", "revert"), ("rebase-merge", "rebase"), ("rebase-apply", "rebase"),
        ] {
            let place = try Self.git(["rev-parse", "--git-path", name], in: top).success ?? ""
            let url = URL(fileURLWithPath: place, relativeTo: URL(fileURLWithPath: top, isDirectory: true))
            if FileManager.default.fileExists(atPath: url.path) {
                throw CommandError("\(path): a \(work) is in progress; end it first (git \(work) --help)")
            }
        }
        if let branch = try Self.git(["symbolic-ref", "--quiet", "--short", "HEAD"], in: top).success {
            (origin, isDetached) = (branch, false)
        } else if let commit = try Self.git(["rev-parse", "--verify", "--quiet", "HEAD^{commit}"], in: top).success {
            (origin, isDetached) = (commit, true)
        } else {
            throw CommandError("\(path): has no commits")
        }
        if let change = try changes().first {
            throw CommandError("\(path): has changes that are not committed (\(change)); commit or stash them first")
        }
    }

    // MARK: git

    private struct Answer {
        var status: Int32
        var output: String
        var errors: String
        /// The output where it succeeded, without the newline at the end.
        var success: String? {
            status == 0 ? output.trimmingCharacters(in: .newlines) : nil
        }
        var complaint: String {
            let words = String((errors + "\n" + output).nonemptyLines.joined(separator: " ").prefix(300))
            return words.isEmpty ? "exit status \(status)" : words
        }
    }

    private static func git(_ arguments: [String], in folder: String) throws -> Answer {
        // Its words are read, so they must not be translated.
        let child = try ChildProcess(
            "/usr/bin/env", ["git", "-c", "advice.detachedHead=false"] + arguments, in: folder,
            environment: ["LC_ALL": "C", "LANGUAGE": "", "GIT_TERMINAL_PROMPT": "0"], isShielded: true)
        guard case .exit(let status) = child.end else { throw CommandError("git \(arguments[0]): \(child.complaint)") }
        guard status != 127 else { throw CommandError("git: cannot be found") }
        return Answer(status: status, output: child.output, errors: child.errors)
    }

    /// - Throws: `CommandError` with git's own words where it fails.
    private func git(_ arguments: String...) throws -> String {
        let answer = try Self.git(arguments, in: folder)
        guard let output = answer.success else {
            throw CommandError("\(folder): git \(arguments[0]): \(answer.complaint)")
        }
        return output
    }

    /// Tracked files that differ from HEAD.
    private func changes() throws -> [String] {
        try git("status", "--porcelain", "--untracked-files=no").split(separator: "\n").map {
            String($0.dropFirst(3))
        }
    }

    // MARK: Commits

    /// - Throws: `CommandError` for what is no revision.
    func commit(_ revision: String, option: String) throws -> String {
        guard !revision.hasPrefix("-"), !revision.isEmpty,
            let commit = try Self.git(["rev-parse", "--verify", "--quiet", revision + "^{commit}"], in: folder).success
        else { throw CommandError("\(option) \(revision): is no revision of \(folder)") }
        return commit
    }

    func isAncestor(_ commit: String, of other: String) throws -> Bool {
        try Self.git(["merge-base", "--is-ancestor", commit, other], in: folder).status == 0
    }

    /// The number of commits that are in `bad` and not in `good`.
    func distance(from good: String, to bad: String) throws -> Int {
        Int(try git("rev-list", "--count", "\(good)..\(bad)")) ?? 0
    }

    func parents(of commit: String) throws -> [String] {
        try git("rev-list", "--parents", "--max-count=1", commit).split(separator: " ").dropFirst().map(String.init)
    }

    /// `1a2b3c4d5e`, and its first line.
    func name(of commit: String) -> String { String(commit.prefix(10)) }
    func subject(of commit: String) throws -> String { try git("show", "--no-patch", "--format=%s", commit) }
    func authorAndDate(of commit: String) throws -> String {
        try git("show", "--no-patch", "--format=%an, %ad", "--date=iso", commit)
    }

    func checkOut(_ commit: String) throws { _ = try git("checkout", "--quiet", "--detach", commit) }

    /// Puts tracked files back that a build has changed: nobody else's changes were there.
    /// - Returns: the first of them.
    func putBack() throws -> String? {
        let changed = try changes().first
        if changed != nil { _ = try git("reset", "--quiet", "--hard") }
        return changed
    }

    /// Goes back to where HEAD was, and forgets the bisect.
    func restore() throws {
        // Stays where it is; does nothing where no bisect is in progress.
        _ = try git("bisect", "reset", "HEAD")
        // Files in the way are of builds: what is tracked there was there, and unchanged.
        _ = isDetached
            ? try git("checkout", "--quiet", "--force", "--detach", origin)
            : try git("checkout", "--quiet", "--force", origin, "--")
    }

    // MARK: Bisecting

    enum BisectState: Equatable {
        /// HEAD is the next one to test.
        case next(String)
        case found(String)
        /// All that are left were skipped: the first bad commit is one of these.
        case undecided([String])
    }
    enum Mark: String { case good, bad, skip }

    func startBisect(bad: String, good: String) throws -> BisectState {
        try state(after: Self.git(["bisect", "start", bad, good, "--"], in: folder))
    }

    func mark(_ mark: Mark) throws -> BisectState { try state(after: Self.git(["bisect", mark.rawValue], in: folder)) }

    private func state(after answer: Answer) throws -> BisectState {
        let lines = answer.output.split(separator: "\n").map(String.init)
        func isCommit(_ text: Substring) -> Bool { text.count >= 40 && text.allSatisfy(\.isHexDigit) }
        if let line = lines.first(where: { $0.contains(" is the first ") }),
            let commit = line.split(separator: " ").first, isCommit(commit)
        {
            return .found(String(commit))
        }
        if answer.status == 2, lines.contains(where: { $0.hasPrefix("There are only 'skip'ped commits left") }) {
            return .undecided(lines.filter { isCommit($0[...]) })
        }
        guard answer.status == 0 else { throw CommandError("\(folder): git bisect: \(answer.complaint)") }
        return .next(try git("rev-parse", "HEAD"))
    }

    /// How many commits the first bad one is among.
    func remaining() throws -> Int {
        Int(try git("rev-list", "--count", "refs/bisect/bad", "--not", "--glob=refs/bisect/good-*")) ?? 0
    }
}
