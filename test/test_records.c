// test_records.c -- records as rows: what the model reads, and what of it is trained on.
#include "../llmc/check.h"
#include "../llmc/json.h"
#include "../llmc/records.h"
#include "../llmc/tokenizer.h"
#include "scratch.h"
#include "test.h"

#include <errno.h>

static const char* path;
static Tokenizer* tokenizer;

static void write_text(const char* text) {
    FILE* f = fopen(path, "wb");
    expect(f && fputs(text, f) >= 0 && fclose(f) == 0);
}

// A row of bytes as text: what is trained on in brackets, the end of text as '$'.
static void show(char* to, const uint16_t* tokens, const unsigned char* mask, size_t T) {
    for (size_t t = 0; t <= T; t++) {
        int now = t > 0 && mask[t - 1], before = t > 1 && mask[t - 2];
        if (now && !before) { *to++ = '['; }
        if (!now && before) { *to++ = ']'; }
        *to++ = tokens[t] == 256 ? '$' : (char)tokens[t];
    }
    if (mask[T - 1]) { *to++ = ']'; }
    *to = '\0';
}

// About the last record of several.
static void expect_row(const char* json_text, size_t T, size_t count, const char* want) {
    uint16_t tokens[201];
    unsigned char mask[200];
    char got[700];
    size_t n;
    write_text(json_text);
    Json json = json_open(path);
    Record* records = records_find(&json, &n);
    RecordEncoder* e = record_encoder_open(tokenizer, T);
    size_t used = 0;
    for (size_t i = 0; i < n; i++) { used = record_row(e, &records[i], NULL, tokens, mask); }
    show(got, tokens, mask, T);
    if (strcmp(got, want) != 0 || used != count) { fprintf(stderr, "%zu tokens: %s\n  not %zu: %s\n", used, got, count, want); }
    expect(strcmp(got, want) == 0 && used == count);
    record_encoder_free(e);
    free(records);
    json_close(&json);
}

static void test_shapes(void) {
    expect_row("{\"prompt\":\"2+2=\",\"completion\":\"4\"}", 7, 6, "2+2=[4$]$$");
    expect_row("{\"question\":\"Why?\",\"answer\":\"So.\"}", 36, 36, "### Question:\nWhy?\n\n### Answer:\n[So.$]$");
    expect_row("[{\"instruction\":\"Do\",\"input\":\"\",\"output\":\"Done\"}]", 41, 40,
               "### Instruction:\nDo\n\n### Response:\n[Done$]$$");
    expect_row("[{\"instruction\":\"Do\",\"input\":null,\"output\":\"Done\"}]", 41, 40,
               "### Instruction:\nDo\n\n### Response:\n[Done$]$$");
    expect_row("{\"output\":\"Done\",\"input\":\"it\",\"extra\":7,\"instruction\":\"Do\"}", 56, 55,
               "### Instruction:\nDo\n\n### Input:\nit\n\n### Response:\n[Done$]$$");
    expect_row("{\"Body\":\"Had 2.\",\"Question\":\"Now?\",\"Answer\":3.0}", 42, 41, "### Question:\nHad 2. Now?\n\n### Answer:\n[3$]$$");
}

static void test_conversations(void) {
    expect_row("{\"messages\":[{\"role\":\"system\",\"content\":\"S\"},{\"role\":\"user\",\"content\":\"U\"},{\"role\":\"assistant\",\"content\":\"A\"},"
               "{\"role\":\"user\",\"content\":\"V\"},{\"role\":\"assistant\",\"content\":\"B\"},{\"role\":\"user\",\"content\":\"left out\"}]}",
               75, 75, "### System:\nS\n\n### User:\nU\n\n### Assistant:\n[A$]### User:\nV\n\n### Assistant:\n[B$]$");
    expect_row("{\"messages\":[{\"role\":\"assistant\",\"content\":\"Hi\"}]}", 20, 18, "### Assistant:\n[Hi$]$$$");
    expect_row("{\"messages\":[{\"role\":\"user\",\"content\":\"left out\"}]}{\"prompt\":\"a\",\"completion\":\"b\"}", 3, 3, "a[b$]$");
}

// Cut anywhere, a row is the beginning of the whole one.
static void test_cuts(void) {
    static const char text[] = "{\"prompt\":\"abc\",\"completion\":\"defg\"}";
    expect_row(text, 1, 8, "ab");
    expect_row(text, 2, 8, "abc");
    expect_row(text, 3, 8, "abc[d]");
    expect_row(text, 6, 8, "abc[defg]");
    expect_row(text, 7, 8, "abc[defg$]");
    expect_row(text, 8, 8, "abc[defg$]$");
    expect_row("{\"prompt\":\"\",\"completion\":\"de\"}", 3, 3, "d[e$]$"); // nothing comes before d that could predict it
    expect_row("{\"prompt\":\"ab\",\"completion\":\"\"}", 3, 2, "ab$$");
}

// About the last record, as a prompt: `count` tokens of context, `all` with what responses are compared with.
static void expect_prompt(const char* json_text, size_t T, size_t count, size_t all, const char* want) {
    uint16_t tokens[201];
    unsigned char mask[200];
    char got[700];
    size_t n, prompt = 0, used = 0;
    write_text(json_text);
    Json json = json_open(path);
    Record* records = records_find(&json, &n);
    RecordEncoder* e = record_encoder_open(tokenizer, T);
    for (size_t i = 0; i < n; i++) { used = record_prompt_row(e, &records[i], tokens, mask, &prompt); }
    show(got, tokens, mask, T);
    if (strcmp(got, want) != 0 || prompt != count || used != all) { fprintf(stderr, "%zu of %zu tokens: %s\n  not %zu of %zu: %s\n", prompt, used, got, count, all, want); }
    expect(strcmp(got, want) == 0 && prompt == count && used == all);
    record_encoder_free(e);
    free(records);
    json_close(&json);
}

// No end of text is trained on or compared with; of a worked answer, what stands behind the last ####.
static void test_prompt_rows(void) {
    expect_prompt("{\"prompt\":\"2+2=\",\"completion\":\" 4\\n\"}", 7, 4, 5, "2+2=[4]$$$");
    expect_prompt("{\"prompt\":\"a\",\"completion\":\"b c\"}", 5, 1, 4, "a[b c]$$");
    expect_prompt("{\"question\":\"Why?\",\"answer\":\"1+1=2\\n#### 3\\n####\\t-4 \"}", 35, 32, 34, "### Question:\nWhy?\n\n### Answer:\n[-4]$$");
    expect_prompt("{\"prompt\":\"a\",\"completion\":\"#####5 \"}", 5, 1, 2, "a[5]$$$$");
    expect_prompt("{\"prompt\":\"a\",\"completion\":\"### 5\"}", 6, 1, 6, "a[### 5]$");
    expect_prompt("{\"prompt\":\"a\",\"completion\":\"5 ####\"}", 3, 1, 1, "a$$$");
    expect_prompt("{\"prompt\":\"\",\"completion\":\"de\"}", 4, 1, 3, "$[de]$$"); // an answer needs something before it
    expect_prompt("{\"prompt\":\"a\",\"completion\":-51.0}", 5, 1, 4, "a[-51]$$");
    expect_prompt("{\"prompt\":\"a\",\"completion\":null}", 3, 1, 1, "a$$$");
    expect_prompt("{\"prompt\":\"a\",\"chosen\":\"b\",\"rejected\":\"c\"}", 3, 1, 1, "a$$$");
    expect_prompt("{\"prompt\":\"abc\",\"completion\":\"defg\"}", 4, 3, 7, "abc[de]");
    expect_prompt("{\"Body\":\"I have 0.5.\",\"Question\":\"Now?\",\"Answer\":0.25}", 51, 44, 48, "### Question:\nI have 0.5. Now?\n\n### Answer:\n[0.25]$$$$");
}

static void test_conversations_as_prompts(void) {
    expect_prompt("{\"messages\":[{\"role\":\"user\",\"content\":\"U\"},{\"role\":\"assistant\",\"content\":\"A\"},"
                  "{\"role\":\"user\",\"content\":\"V\"},{\"role\":\"assistant\",\"content\":\"B\"}]}",
                  60, 58, 59, "### User:\nU\n\n### Assistant:\nA$### User:\nV\n\n### Assistant:\n[B]$$");
    expect_prompt("{\"messages\":[{\"role\":\"assistant\",\"content\":\"A\"},{\"role\":\"user\",\"content\":\"V\"}]}",
                  45, 45, 45, "### Assistant:\nA$### User:\nV\n\n### Assistant:\n$");
    expect_prompt("{\"messages\":[{\"role\":\"assistant\",\"content\":\"A\"}]}", 17, 15, 16, "### Assistant:\n[A]$$");
}

static void test_prompts(void) {
    static const char* const cases[][2] = {
        { "{\"prompt\":\"p\",\"completion\":\"\"}", "p" },
        { "{\"instruction\":\"i\",\"output\":\"\"}", "i" },
        { "{\"question\":\"q\",\"answer\":\"\"}", "q" },
        { "{\"messages\":[{\"role\":\"system\",\"content\":\"s\"},{\"role\":\"user\",\"content\":\"u\"},{\"role\":\"user\",\"content\":\"v\"}]}", "u" },
        { "{\"messages\":[{\"role\":\"system\",\"content\":\"s\"}]}", NULL },
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        size_t count, bytes;
        write_text(cases[i][0]);
        Json json = json_open(path);
        Record* records = records_find(&json, &count);
        const char* prompt = record_prompt(records, &bytes);
        expect(count == 1 && records->number == 1);
        expect(cases[i][1] ? prompt && bytes == 1 && *prompt == *cases[i][1] : !prompt && bytes == 0);
        free(records);
        json_close(&json);
    }
}

static void row_of_file(void) {
    uint16_t tokens[9];
    unsigned char mask[8];
    size_t count;
    Json json = json_open(path);
    Record* records = records_find(&json, &count);
    RecordEncoder* e = record_encoder_open(tokenizer, 8);
    for (size_t i = 0; i < count; i++) { record_row(e, &records[i], NULL, tokens, mask); }
    record_encoder_free(e);
    free(records);
    json_close(&json);
}

static void test_refusals(void) {
    static const char* const cases[][2] = {
        { "", "has no records" },
        { "[]", "has no records" },
        { "[{\"prompt\":\"a\",\"completion\":\"b\"},\n7]", "record 2 (line 2): is not an object" },
        { "[{\"prompt\":\"a\",\"completion\":\"b\"}]\n[]", "record 1 (line 1): is not an object" },
        { "\n{\"prompt\":\"a\",\"completion\":\"b\"}\n{\"text\":\"a\"}", "record 2 (line 3): has none of the keys" },
        { "{\"prompt\":\"a\"}", "there is no completion" },
        { "{\"instruction\":\"a\",\"output\":[5]}", "this is not a text: output" },
        { "{\"instruction\":\"a\",\"input\":5,\"output\":\"b\"}", "this is not a text: input" },
        { "{\"prompt\":[],\"completion\":\"b\"}", "this is not a text: prompt" },
        { "{\"messages\":[{}],\"rejected\":\"c\"}", "a preference pair with messages" },
        { "{\"messages\":\"a\"}", "messages is not a list" },
        { "{\"messages\":[]}", "messages is not a list" },
        { "{\"messages\":[1]}", "a message is not an object" },
        { "{\"messages\":[{\"content\":\"a\"}]}", "there is no role" },
        { "{\"messages\":[{\"role\":\"user\"}]}", "there is no content" },
        { "{\"messages\":[{\"role\":\"user\",\"content\":[]}]}", "this is not a text: content" },
        { "{\"messages\":[{\"role\":\"a\\nb\",\"content\":\"\"}]}", "role is not system, user or assistant" },
        { "{\"prompt\":\"a\",\"prompt\":\"a\",\"completion\":\"b\"}", "the key \"prompt\" stands twice" },
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        write_text(cases[i][0]);
        expect_dies(cases[i][1], row_of_file());
    }
}

int main(int argc, char** argv) {
    static const Test tests[] = {
        { "shapes", test_shapes },
        { "conversations", test_conversations },
        { "cuts", test_cuts },
        { "prompt_rows", test_prompt_rows },
        { "conversations_as_prompts", test_conversations_as_prompts },
        { "prompts", test_prompts },
        { "refusals", test_refusals },
    };
    path = scratch("file");
    tokenizer = tokenizer_open("bytes");
    int status = test_main(argc, argv, tests, sizeof(tests) / sizeof(tests[0]));
    tokenizer_free(tokenizer);
    return status;
}
