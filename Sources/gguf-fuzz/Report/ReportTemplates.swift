import Foundation
import Mustache

/// The texts of reports, by templates that are in the program.
enum ReportTemplates: String {
    /// One page that needs nothing else.
    case page
    /// Markdown, as a job's summary.
    case summary
    /// What continuous integration systems read of tests.
    case junit

    private var bytes: [UInt8] {
        switch self {
        case .page: PackageResources.page_mustache
        case .summary: PackageResources.summary_mustache
        case .junit: PackageResources.junit_mustache
        }
    }

    /// - Throws: `MustacheTemplate.ParserError` for a template that is none.
    func text(of content: Any) throws -> String {
        func text(_ bytes: [UInt8]) -> String { String(decoding: bytes, as: UTF8.self) }
        var library = MustacheLibrary()
        try library.register(text(PackageResources.page_css), named: "style")
        try library.register(text(PackageResources.page_js), named: "script")
        return try MustacheTemplate(string: text(bytes)).render(content, library: library)
    }
}
