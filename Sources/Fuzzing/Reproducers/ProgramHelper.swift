/// The functions and types that programs are written with, as C++: a program has those that it mentions.
struct ProgramHelper {
    /// How what uses it mentions it.
    private let mark: String
    private let text: String

    private init(_ mark: String, _ text: String) {
        self.mark = mark
        self.text = text
    }

    /// Those that a program needs, in the order of their declaration.
    static func needed(by code: String) -> String {
        // Each is written in terms of those before it.
        all.reversed().reduce("") { needed, helper in
            (needed + code).contains(helper.mark) ? helper.text + "\n\n" + needed : needed
        }
    }

    /// The headers that a program needs.
    static func includes(of code: String) -> String {
        let headers = [
            ("gguf_init_from_file(", "\"gguf.h\""), ("", "\"llama.h\"\n"), ("std::sqrt(", "<cmath>"),
            ("std::isnan(", "<cmath>"), ("uint8_t", "<cstdint>"), ("printf(", "<cstdio>"), ("exit(", "<cstdlib>"),
            ("memcmp(", "<cstring>"), ("strlen(", "<cstring>"), ("std::map<", "<map>"), ("std::string", "<string>"),
            ("std::to_string(", "<string>"),
            ("std::pair<", "<utility>"), ("std::vector<", "<vector>"),
        ]
        let included = headers.filter { mark, _ in mark.isEmpty || code.contains(mark) }.map { "#include \($0.1)\n" }
        return included.indices.filter { $0 == 0 || included[$0] != included[$0 - 1] }.map { included[$0] }.joined()
    }

    private static let all = [
        ProgramHelper("print_errors", """
            static void print_errors(ggml_log_level level, const char * text, void *) {
                if (level == GGML_LOG_LEVEL_ERROR) {
                    fputs(text, stderr);
                }
            }
            """),
        ProgramHelper("unavailable(", """
            // Without it nothing can be said about the failure.
            [[noreturn]] static void unavailable(const char * what) {
                fprintf(stderr, "not available: %s\\n", what);
                exit(2);
            }
            """),
        ProgramHelper("require(", """
            // What does not hold is the failure.
            static void require(bool holds, const char * what) {
                if (!holds) {
                    fprintf(stderr, "FAILED: %s\\n", what);
                    exit(1);
                }
            }
            """),
        ProgramHelper("tokens(model, text", """
            static std::vector<llama_token> tokens(
                const llama_model * model, const std::string & text, bool add_special, bool parse_special
            ) {
                const llama_vocab * vocab = llama_model_get_vocab(model);
                std::vector<llama_token> result(text.size() + 8);
                int count = 0;
                for (int i = 0; i < 2; i++) {
                    count = llama_tokenize(
                        vocab, text.data(), text.size(), result.data(), result.size(), add_special, parse_special
                    );
                    result.resize(count < 0 ? -count : count);
                }
                return result;
            }
            """),
        ProgramHelper("expect_tokens(", """
            static void expect_tokens(
                const llama_model * model, const std::string & text, bool add_special, bool parse_special,
                const std::vector<llama_token> & expected
            ) {
                require(tokens(model, text, add_special, parse_special) == expected, "other tokens");
            }
            """),
        ProgramHelper("device(", """
            static ggml_backend_dev_t device(const char * name) {
                ggml_backend_dev_t device = ggml_backend_dev_by_name(name);
                if (device == nullptr) {
                    unavailable(name);
                }
                return device;
            }
            """),
        ProgramHelper("adapt(", """
            // LoRA adapters, each with its scale.
            static void adapt(llama_context * ctx, const std::vector<std::pair<const char *, float>> & files) {
                llama_model * model = const_cast<llama_model *>(llama_get_model(ctx));
                std::vector<llama_adapter_lora *> adapters;
                std::vector<float> scales;
                for (const auto & [path, scale] : files) {
                    adapters.push_back(llama_adapter_lora_init(model, path));
                    scales.push_back(scale);
                    if (adapters.back() == nullptr) {
                        unavailable(path);
                    }
                }
                llama_set_adapters_lora(ctx, adapters.data(), adapters.size(), scales.data());
            }
            """),
        ProgramHelper("steer(", """
            // A control vector, of which a file has a row for each block but the first.
            static void steer(llama_context * ctx, const char * path, float scale, int first, int last) {
                ggml_context * tensors = nullptr;
                gguf_context * file = gguf_init_from_file(path, {false, &tensors});
                if (file == nullptr) {
                    unavailable(path);
                }
                const llama_model * model = llama_get_model(ctx);
                std::vector<float> elements;
                for (int i = 1; i < llama_model_n_layer(model); i++) {
                    const ggml_tensor * row = ggml_get_tensor(tensors, ("direction." + std::to_string(i)).c_str());
                    const float * data = static_cast<const float *>(row->data);
                    for (int64_t j = 0; j < ggml_nelements(row); j++) {
                        elements.push_back(scale * data[j]);
                    }
                }
                const int n_embd = (int) elements.size() / (llama_model_n_layer(model) - 1);
                llama_set_adapter_cvec(ctx, elements.data(), elements.size(), n_embd, first, last);
                gguf_free(file);
                ggml_free(tensors);
            }
            """),
        ProgramHelper("std::vector<token>", """
            struct token {
                llama_token id;
                llama_pos pos;
                std::vector<llama_seq_id> seqs;
                bool output;  // whether it is wanted
            };
            """),
        ProgramHelper("process(", """
            // Hands tokens over as one batch.
            static void process(
                llama_context * ctx, int32_t (*function)(llama_context *, llama_batch),
                const std::vector<token> & tokens
            ) {
                llama_batch batch = llama_batch_init(tokens.size(), 0, llama_n_seq_max(ctx));
                for (const token & next : tokens) {
                    const int i = batch.n_tokens++;
                    batch.token[i] = next.id;
                    batch.pos[i] = next.pos;
                    batch.logits[i] = next.output;
                    batch.n_seq_id[i] = next.seqs.size();
                    for (size_t s = 0; s < next.seqs.size(); s++) {
                        batch.seq_id[i][s] = next.seqs[s];
                    }
                }
                const int32_t status = function(ctx, batch);
                llama_batch_free(batch);
                require(status == 0, "the batch is processed");
                llama_synchronize(ctx);
            }
            """),
        ProgramHelper("rows result;", """
            // Outputs, by the number of the step, and that of the token in its batch or, pooled, of the sequence.
            using rows = std::map<std::pair<int, int>, std::vector<float>>;
            """),
        ProgramHelper("output(", """
            static std::vector<float> output(const float * first, int width, int number = 0) {
                require(first != nullptr, "an output that was asked for is there");
                return {first + number * width, first + (number + 1) * width};
            }
            """),
        ProgramHelper("agree(", """
            // Whether a row is right: its distance from the expected one is within a part of that one's length.
            static bool agree(
                const char * name, const std::vector<float> & found, const std::vector<float> & expected, double limit
            ) {
                require(found.size() == expected.size(), "rows are as long as expected");
                double error = 0, length = 0;
                for (size_t i = 0; i < expected.size(); i++) {
                    const double difference = double(found[i]) - expected[i];
                    error += difference * difference;
                    length += double(expected[i]) * expected[i];
                }
                const bool is_right = std::sqrt(error) <= limit * std::sqrt(length);
                printf("%s: error %.3g of the row's length (NMSE %.3g), limit %.3g: %s\\n", name,
                       std::sqrt(error / length), error / length, limit, is_right ? "right" : "WRONG");
                for (size_t i = 0; !is_right && i < expected.size() && i < 8; i++) {
                    printf("  [%zu] found %13.6g, expected %13.6g\\n", i, found[i], expected[i]);
                }
                return is_right;
            }
            """),
        ProgramHelper("same_bits(", """
            static bool same_bits(const char * name, const rows & first, const rows & second) {
                bool is_same = true;
                for (const auto & [place, a] : first) {
                    const std::vector<float> & b = second.at(place);
                    require(a.size() == b.size(), "rows are as long as before");
                    for (size_t i = 0; i < a.size(); i++) {
                        if (memcmp(&a[i], &b[i], sizeof(float)) == 0 || (std::isnan(a[i]) && std::isnan(b[i]))) {
                            continue;
                        }
                        printf("%s gives other bits: step %d, row %d, element %zu was %.9g and is %.9g\\n", name,
                               place.first, place.second, i, a[i], b[i]);
                        is_same = false;
                        break;
                    }
                }
                return is_same;
            }
            """),
        ProgramHelper("in_memory ", """
            // A model's tensors, and the first that llama.cpp asks for and they lack.
            struct in_memory {
                ggml_context * tensors = nullptr;
                std::string missing;
            };
            """),
        ProgramHelper("ends_with(", """
            static bool ends_with(const std::string & text, const std::string & end) {
                return text.size() >= end.size() && text.compare(text.size() - end.size(), end.size(), end) == 0;
            }
            """),
        ProgramHelper("set_tensor,", """
            // llama.cpp asks for optional tensors too: factors of one and biases of zero are as good as none.
            static void set_tensor(ggml_tensor * tensor, void * data) {
                in_memory & model = *static_cast<in_memory *>(data);
                const std::string name = ggml_get_name(tensor);
                const bool is_output = name == "output.weight";
                const ggml_tensor * source = ggml_get_tensor(model.tensors, name.c_str());
                if (source == nullptr && is_output) {
                    source = ggml_get_tensor(model.tensors, "token_embd.weight");
                }
                if (source != nullptr && ggml_nbytes(source) == ggml_nbytes(tensor)) {
                    ggml_backend_tensor_set(tensor, source->data, 0, ggml_nbytes(tensor));
                    return;
                }
                const bool is_factor =
                    ends_with(name, ".scale") || ends_with(name, ".input_scale") || name == "rope_freqs.weight";
                if (!is_factor && !ends_with(name, ".bias")) {
                    model.missing = model.missing.empty() ? name : model.missing;
                    return;
                }
                const float element = is_factor && tensor->type == GGML_TYPE_F32 ? 1 : 0;
                const std::vector<float> elements(ggml_nbytes(tensor) / sizeof(float) + 1, element);
                ggml_backend_tensor_set(tensor, elements.data(), 0, ggml_nbytes(tensor));
            }
            """),
        ProgramHelper("load_from_memory(", """
            static llama_model * load_from_memory(const char * path, llama_model_params mparams) {
                in_memory source;
                gguf_context * metadata = gguf_init_from_file(path, {false, &source.tensors});
                if (metadata == nullptr) {
                    unavailable(path);
                }
                // In memory, what serves as the output is the output.
                const ggml_tensor * embedding = ggml_get_tensor(source.tensors, "token_embd.weight");
                if (embedding != nullptr && ggml_get_tensor(source.tensors, "output.weight") == nullptr) {
                    ggml_tensor output = *embedding;
                    ggml_set_name(&output, "output.weight");
                    gguf_add_tensor(metadata, &output);
                }
                llama_model * model = llama_model_init_from_user(metadata, set_tensor, &source, mparams);
                gguf_free(metadata);
                ggml_free(source.tensors);
                if (source.missing.empty()) {
                    return model;
                }
                fprintf(stderr, "loading it as a file: in memory, llama.cpp wants %s\\n", source.missing.c_str());
                if (model != nullptr) {
                    llama_model_free(model);
                }
                return llama_model_load_from_file(path, mparams);
            }
            """),
        ProgramHelper("has_tensors_of(", """
            // Whether a file has all tensors of another, byte for byte.
            static bool has_tensors_of(const char * path, const char * other) {
                ggml_context * found = nullptr;
                ggml_context * expected = nullptr;
                gguf_context * file = gguf_init_from_file(path, {false, &found});
                gguf_context * original = gguf_init_from_file(other, {false, &expected});
                require(file != nullptr && original != nullptr, "what was saved is a GGUF file");
                bool is_same = true;
                for (int64_t i = 0; i < gguf_get_n_tensors(original); i++) {
                    const ggml_tensor * a = ggml_get_tensor(expected, gguf_get_tensor_name(original, i));
                    const ggml_tensor * b = ggml_get_tensor(found, a->name);
                    const bool is_there = b != nullptr;
                    if (!is_there || a->type != b->type || ggml_nbytes(a) != ggml_nbytes(b) ||
                        memcmp(a->data, b->data, ggml_nbytes(a)) != 0) {
                        printf("%s %s\\n", a->name, is_there ? "has changed" : "is missing");
                        is_same = false;
                    }
                }
                gguf_free(file);
                gguf_free(original);
                ggml_free(found);
                ggml_free(expected);
                return is_same;
            }
            """),
    ]
}
