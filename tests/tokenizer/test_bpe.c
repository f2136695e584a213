/* BPE merging against the definition, on random vocabularies and texts; unknown characters. */
#include "support.h"

#include "base/rng.h"
#include "base/utf8.h"
#include "tokenizer/bpe.h"

struct fixture {
    struct gram_arena arena;
    struct gram_error err;
    struct gram_source source;
    struct gram_vocab vocab;
    struct gram_bpe bpe;
    struct {
        int32_t left, right, id;
    } merges[256];
    size_t n_merges;
};

static void add_token(struct fixture *f, int32_t id, const char *text)
{
    const size_t len = strlen(text);
    assert_int_equal(
        gram_vocab_put(&f->vocab, &f->source, id, gram_arena_strn(&f->arena, text, len), len),
        GRAM_OK);
    assert_true(gram_vocab_list(&f->vocab, id));
}

static void start(struct fixture *f, int32_t ids)
{
    *f = (struct fixture){0};
    f->source = (struct gram_source){&f->arena, NULL, "test", &f->err};
    assert_int_equal(gram_vocab_init(&f->vocab, &f->source, ids - 1, (size_t)ids), GRAM_OK);
}

/* Letters a..d, then random merges of any two tokens whose text is new. */
static void random_vocabulary(struct fixture *f, struct gram_rng *rng, size_t merges)
{
    start(f, (int32_t)(4 + merges));
    for (int32_t i = 0; i < 4; i++)
        add_token(f, i, (const char[]){(char)('a' + i), '\0'});
    for (int32_t id = 4; f->n_merges < merges;) {
        const int32_t left = (int32_t)(gram_rng_u64(rng) % (uint64_t)id);
        const int32_t right = (int32_t)(gram_rng_u64(rng) % (uint64_t)id);
        const struct gram_token *a = &f->vocab.at[left], *b = &f->vocab.at[right];
        char text[64];
        if (a->len + b->len > 12)
            continue;
        snprintf(text, sizeof text, "%.*s%.*s", (int)a->len, a->text, (int)b->len, b->text);
        if (gram_vocab_find(&f->vocab, text, strlen(text)) >= 0)
            continue;
        add_token(f, id, text);
        f->merges[f->n_merges].left = left;
        f->merges[f->n_merges].right = right;
        f->merges[f->n_merges++].id = id++;
    }
    assert_int_equal(gram_bpe_init(&f->bpe, &f->source, &f->vocab, merges), GRAM_OK);
    for (size_t i = 0; i < merges; i++)
        gram_bpe_add(&f->bpe, f->merges[i].left, f->merges[i].right, (uint32_t)i, f->merges[i].id);
}

/* The definition: while any pair can merge, merge the leftmost one of the lowest rank. */
static size_t merge_by_definition(const struct fixture *f, int32_t *ids, size_t n)
{
    for (size_t rank = 0; rank < f->n_merges;) {
        size_t i = 0;
        while (i + 1 < n &&
               !(ids[i] == f->merges[rank].left && ids[i + 1] == f->merges[rank].right))
            i++;
        if (i + 1 >= n) {
            rank++;
            continue;
        }
        ids[i] = f->merges[rank].id;
        memmove(ids + i + 1, ids + i + 2, (n - i - 2) * sizeof *ids);
        n--;
        rank = 0;
    }
    return n;
}

static void merging_follows_its_definition(void **state)
{
    struct gram_rng rng = {7};
    struct gram_bpe_work work = {0};
    (void)state;
    for (int round = 0; round < 200; round++) {
        struct fixture f;
        random_vocabulary(&f, &rng, 1 + gram_rng_u64(&rng) % 60);
        for (int t = 0; t < 20; t++) {
            char text[65];
            int32_t expected[64];
            struct gram_ids ids = {0};
            const size_t n = 1 + gram_rng_u64(&rng) % 64;
            for (size_t i = 0; i < n; i++) {
                expected[i] = (int32_t)(gram_rng_u64(&rng) % 4);
                text[i] = (char)('a' + expected[i]);
            }
            text[n] = '\0';
            const size_t wanted = merge_by_definition(&f, expected, n);
            assert_true(gram_bpe_encode(&f.bpe, &work, text, n, &ids));
            assert_int_equal(ids.len, wanted);
            assert_memory_equal(ids.at, expected, wanted * sizeof *expected);
            gram_ids_reset(&ids);
        }
        gram_arena_reset(&f.arena);
    }
    gram_bpe_work_reset(&work);
}

/* Tokens: 0 <unk>, 1 a, 2 b, 3 ab, 4..6 the bytes of U+20AC; merge a b. */
static void with_unknowns(struct fixture *f)
{
    static const char *const texts[] = {"<unk>", "a", "b", "ab", "<0xE2>", "<0x82>", "<0xAC>"};
    start(f, 7);
    for (int32_t i = 0; i < 7; i++)
        add_token(f, i, texts[i]);
    assert_int_equal(gram_bpe_init(&f->bpe, &f->source, &f->vocab, 1), GRAM_OK);
    gram_bpe_add(&f->bpe, 1, 2, 0, 3);
}

static void expect(struct fixture *f, const char *text, const int32_t *ids, size_t n)
{
    struct gram_bpe_work work = {0};
    struct gram_ids got = {0};

    assert_true(gram_bpe_encode(&f->bpe, &work, text, strlen(text), &got));
    assert_int_equal(got.len, n);
    assert_memory_equal(got.at, ids, n * sizeof *ids);
    gram_ids_reset(&got);
    gram_bpe_work_reset(&work);
}

static void unknown_characters_become_bytes_or_the_unknown_token(void **state)
{
    struct fixture f;
    (void)state;
    with_unknowns(&f);
    expect(&f, "axb", (const int32_t[]){3}, 1); /* no unknown token: x vanishes, a and b meet */
    f.bpe.unknown = 0;
    expect(&f, "axxb", (const int32_t[]){1, 0, 0, 2}, 4);
    f.bpe.fuse_unknown = true;
    expect(&f,
           "axx\xe2\x82\xac"
           "b",
           (const int32_t[]){1, 0, 2}, 3);
    f.bpe.bytes[0xe2] = 4;
    f.bpe.bytes[0x82] = 5;
    f.bpe.bytes[0xac] = 6;
    expect(&f, "ax\xe2\x82\xacxb", (const int32_t[]){1, 0, 4, 5, 6, 0, 2}, 7);
    gram_arena_reset(&f.arena);
}

static void a_piece_that_is_a_token_can_come_first(void **state)
{
    struct fixture f;
    (void)state;
    with_unknowns(&f);
    f.bpe.unknown = 0;
    expect(&f, "<unk>", (const int32_t[]){0, 0, 0, 0, 0}, 5);
    f.bpe.whole_first = true;
    expect(&f, "<unk>", (const int32_t[]){0}, 1);
    gram_arena_reset(&f.arena);
}

/* n log n: a quadratic merge would not return. */
static void a_word_of_a_megabyte_is_merged(void **state)
{
    enum { N = 1 << 20 };
    struct gram_bpe_work work = {0};
    struct gram_ids ids = {0};
    struct fixture f;
    char *text = malloc(N);
    (void)state;
    start(&f, 4);
    add_token(&f, 0, "a");
    add_token(&f, 1, "aa");
    add_token(&f, 2, "aaaa");
    add_token(&f, 3, "aaaaaaaa");
    assert_int_equal(gram_bpe_init(&f.bpe, &f.source, &f.vocab, 3), GRAM_OK);
    for (int32_t i = 0; i < 3; i++)
        gram_bpe_add(&f.bpe, i, i, (uint32_t)i, i + 1);
    memset(text, 'a', N);
    assert_true(gram_bpe_encode(&f.bpe, &work, text, N, &ids));
    assert_int_equal(ids.len, N / 8);
    free(text);
    gram_ids_reset(&ids);
    gram_bpe_work_reset(&work);
    gram_arena_reset(&f.arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(merging_follows_its_definition),
        cmocka_unit_test(unknown_characters_become_bytes_or_the_unknown_token),
        cmocka_unit_test(a_piece_that_is_a_token_can_come_first),
        cmocka_unit_test(a_word_of_a_megabyte_is_merged),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
