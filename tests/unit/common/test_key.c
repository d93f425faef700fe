/* Keys and their text. */
#include "common/err.h"
#include "common/key.h"
#include "tests/unit/common/unit.h"

#include <string.h>

/* 0x00, 0x01, … 0x1f */
static const char counting[] = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";

START_TEST(text_and_bytes)
{
    uint8_t key[KEY_BYTES];
    char text[KEY_TEXT_MAX], shown[KEY_SHORT_MAX];
    ck_assert_int_eq(key_parse(counting, key), NX_OK);
    for (uint8_t i = 0; i < KEY_BYTES; i++)
        ck_assert_uint_eq(key[i], i);
    ck_assert_str_eq(key_format(key, text), counting);
    ck_assert_str_eq(key_short(key, shown), "AAECAwQF\xe2\x80\xa6");
    ck_assert_uint_eq(strlen(text), KEY_TEXT_MAX - 1);
}
END_TEST

START_TEST(anything_else_is_refused)
{
    static const char *const wrong[] = {
        "",
        "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8",   /* no padding */
        "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8==", /* too long */
        "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh9=",  /* stray bits */
        "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8A",  /* 33 bytes */
        "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHg==",  /* 31 bytes */
        "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwd_-8=",  /* the URL alphabet */
        "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwd h8=",
        "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwd\nh8=",
        "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwd\377\3778=",
        " AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8",
        "============================================",
    };
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        uint8_t key[KEY_BYTES] = {0};
        ck_assert_msg(key_parse(wrong[i], key) == NX_EINVAL, "accepted %s", wrong[i]);
        for (size_t j = 0; j < KEY_BYTES; j++)
            ck_assert_uint_eq(key[j], 0);
    }
}
END_TEST

START_TEST(every_single_character_error_is_noticed_or_another_key)
{
    for (size_t at = 0; at < KEY_TEXT_MAX - 1; at++) {
        for (int c = 1; c < 256; c++) {
            char text[KEY_TEXT_MAX], again[KEY_TEXT_MAX];
            uint8_t key[KEY_BYTES];
            memcpy(text, counting, sizeof(text));
            text[at] = (char)c;
            if (key_parse(text, key) == NX_OK)
                ck_assert_str_eq(key_format(key, again), text);
        }
    }
}
END_TEST

static void fill(TCase *tcase)
{
    tcase_add_test(tcase, text_and_bytes);
    tcase_add_test(tcase, anything_else_is_refused);
    tcase_add_test(tcase, every_single_character_error_is_noticed_or_another_key);
}

int main(void)
{
    return unit_run("key", fill);
}
