/* Stop strings: never shown in part, wherever the pieces are cut. */
#include "support.h"

#include "stop.h"

/* Push `text` in pieces of `step` bytes; what is shown in all, without a flush if `keep_rest`. */
static char *shown(const char *text, size_t step, const char *const *stops, size_t n_stops)
{
    struct stopper s = {.stops = {(const char **)(uintptr_t)stops, n_stops}};
    struct gram_error err;
    const char *out;
    size_t n;
    char *all = calloc(strlen(text) + 1, 1);

    for (size_t at = 0; at < strlen(text); at += step) {
        char piece[64];
        snprintf(piece, sizeof piece, "%.*s", (int)step, text + at);
        MUST(stopper_push(&s, piece, &out, &n, &err));
        strncat(all, out, n);
    }
    stopper_flush(&s, &out, &n);
    strncat(all, out, n);
    stopper_reset(&s);
    return all;
}

static void assert_shown(const char *text, const char *expected, const char *const *stops, size_t n)
{
    for (size_t step = 1; step < 12; step++) {
        char *all = shown(text, step, stops, n);
        assert_string_equal(all, expected);
        free(all);
    }
}

static void text_without_stop_strings_passes_whole(void **state)
{
    (void)state;
    assert_shown("the king went home", "the king went home", NULL, 0);
    assert_shown("the king went home", "the king went home", (const char *[]){"dog"}, 1);
    assert_shown("", "", (const char *[]){"dog"}, 1);
}

static void text_ends_before_a_stop_string_in_whatever_pieces_it_comes(void **state)
{
    (void)state;
    assert_shown("one\n\ntwo\n\n", "one", (const char *[]){"\n\n"}, 1);
    assert_shown("aaaab", "aa", (const char *[]){"aab"}, 1);
    assert_shown("abcabd!", "abc", (const char *[]){"abd"}, 1);
    assert_shown("stop", "", (const char *[]){"stop"}, 1);
}

static void the_beginning_of_a_stop_string_at_the_end_is_shown_in_the_end(void **state)
{
    (void)state;
    assert_shown("the kin", "the kin", (const char *[]){"king"}, 1);
    assert_shown("ababab", "ababab", (const char *[]){"ababac"}, 1);
}

static void the_first_of_several_stop_strings_counts(void **state)
{
    (void)state;
    assert_shown("red green blue", "red ", (const char *[]){"blue", "green"}, 2);
}

static void what_could_still_become_a_stop_string_is_held_back(void **state)
{
    const char *stop = "</s>";
    struct stopper s = {.stops = {&stop, 1}};
    struct gram_error err;
    const char *out;
    size_t n;

    (void)state;
    MUST(stopper_push(&s, "end </", &out, &n, &err));
    assert_int_equal(n, 4);
    MUST(stopper_push(&s, "s", &out, &n, &err));
    assert_int_equal(n, 0);
    MUST(stopper_push(&s, "b>", &out, &n, &err));
    assert_int_equal(n, 5);
    assert_memory_equal(out, "</sb>", 5);
    assert_false(s.is_done);
    stopper_reset(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(text_without_stop_strings_passes_whole),
        cmocka_unit_test(text_ends_before_a_stop_string_in_whatever_pieces_it_comes),
        cmocka_unit_test(the_beginning_of_a_stop_string_at_the_end_is_shown_in_the_end),
        cmocka_unit_test(the_first_of_several_stop_strings_counts),
        cmocka_unit_test(what_could_still_become_a_stop_string_is_held_back),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
