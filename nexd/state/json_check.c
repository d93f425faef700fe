/* yajl does the reading; its callbacks watch depth and the outermost value, and keep nothing. */
#include "nexd/state/json_check.h"

#include "common/err.h"

#include <yajl/yajl_parse.h>

static int stop(struct json_check *check, enum json_check_fault fault)
{
    check->fault = fault;
    return 0;
}

static int scalar(struct json_check *check)
{
    return check->depth > 0 ? 1 : stop(check, JSON_CHECK_NO_OBJECT);
}

static int on_null(void *arg)
{
    return scalar(arg);
}

static int on_boolean(void *arg, int value)
{
    (void)value;
    return scalar(arg);
}

static int on_text(void *arg, const char *text, size_t length)
{
    (void)text, (void)length;
    return scalar(arg);
}

static int on_string(void *arg, const unsigned char *text, size_t length)
{
    (void)text, (void)length;
    return scalar(arg);
}

static int deeper(struct json_check *check)
{
    return ++check->depth <= STATE_DEPTH_MAX ? 1 : stop(check, JSON_CHECK_TOO_DEEP);
}

static int on_map(void *arg)
{
    return deeper(arg);
}

static int on_array(void *arg)
{
    struct json_check *check = arg;
    return check->depth > 0 ? deeper(check) : stop(check, JSON_CHECK_NO_OBJECT);
}

static int on_end(void *arg)
{
    struct json_check *check = arg;
    check->whole = --check->depth == 0;
    return 1;
}

int json_check_begin(struct json_check *check)
{
    static const yajl_callbacks callbacks = {.yajl_null = on_null,
                                             .yajl_boolean = on_boolean,
                                             .yajl_number = on_text,
                                             .yajl_string = on_string,
                                             .yajl_start_map = on_map,
                                             .yajl_end_map = on_end,
                                             .yajl_start_array = on_array,
                                             .yajl_end_array = on_end};
    *check = (struct json_check){0};
    check->parser = yajl_alloc(&callbacks, NULL, check);
    if (check->parser)
        return NX_OK;
    check->fault = JSON_CHECK_NO_MEMORY;
    return NX_ENOMEM;
}

static int judge(struct json_check *check, yajl_status status, size_t length)
{
    if (status != yajl_status_ok) {
        size_t consumed = length ? yajl_get_bytes_consumed(check->parser) : 0;
        check->taken += consumed < length ? consumed : length;
        if (check->fault == JSON_CHECK_FINE)
            check->fault = JSON_CHECK_MALFORMED;
        return NX_EINVAL;
    }
    check->taken += length;
    return NX_OK;
}

int json_check_piece(struct json_check *check, const char *text, size_t length)
{
    if (check->fault != JSON_CHECK_FINE)
        return check->fault == JSON_CHECK_NO_MEMORY ? NX_ENOMEM : NX_EINVAL;
    return judge(check, yajl_parse(check->parser, (const unsigned char *)text, length), length);
}

int json_check_end(struct json_check *check)
{
    int err = check->fault == JSON_CHECK_FINE        ? NX_OK
              : check->fault == JSON_CHECK_NO_MEMORY ? NX_ENOMEM
                                                     : NX_EINVAL;
    if (!err)
        err = judge(check, yajl_complete_parse(check->parser), 0);
    if (!err && !check->whole) {
        check->fault = JSON_CHECK_MALFORMED;
        err = NX_EINVAL;
    }
    json_check_drop(check);
    return err;
}

void json_check_drop(struct json_check *check)
{
    if (check->parser)
        yajl_free(check->parser);
    check->parser = NULL;
}
