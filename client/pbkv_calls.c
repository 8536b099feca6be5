/* SPDX-License-Identifier: MIT */
/*
 * pbkv_calls: operations on keys. An asynchronous call copies its arguments
 * into an operation and submits it. A blocking call is an asynchronous one
 * whose callback wakes a waiter, which lives on the caller's stack: it is safe
 * there because an operation that was accepted always ends, and its deadline is
 * the role's business.
 *
 * Results are copied in the loop thread, before the waiter wakes, because the
 * answer's memory is the loop's.
 */
#include <assert.h>
#include <stdalign.h>
#include <stdlib.h>
#include <string.h>

#include "client/pbkv_internal.h"
#include "node/message.h"

/* ---- Operations ---------------------------------------------------------- */

/* Rounds up, and adds the tick that is under way: never early. */
static uint32_t deadline_ticks(uint32_t deadline_ms)
{
    return (deadline_ms + PBKV_TICK_MS - 1) / PBKV_TICK_MS + 1;
}

static enum pbkv_status check_octets(const void *data, size_t length,
                                     size_t limit)
{
    if (!data && length > 0)
        return PBKV_INVALID;
    return length > limit ? PBKV_TOO_LARGE : PBKV_OK;
}

static enum pbkv_status check_entry(const struct pbkv_entry *entry)
{
    enum pbkv_status status =
        check_octets(entry->key, entry->key_length, KEY_LIMIT);

    if (status == PBKV_OK)
        status = check_octets(entry->value, entry->value_length, VALUE_LIMIT);
    return status;
}

/* Returns the octets of memory that a byte string takes. */
static size_t room_for(size_t length)
{
    size_t unit = alignof(struct bytes);

    return (sizeof(struct bytes) + length + unit - 1) / unit * unit;
}

/* Makes a byte string in memory that is there. */
static struct bytes *place_octets(void *room, const void *data, size_t length)
{
    struct bytes *bytes = room;

    bytes->references = 1;
    bytes->length = (uint32_t)length;
    if (length > 0)
        memcpy(bytes->data, data, length);
    return bytes;
}

static struct operation *operation_allocate(const struct pbkv_entry *entry)
{
    size_t key = room_for(entry->key_length);
    struct operation *operation =
        malloc(sizeof(*operation) + key + room_for(entry->value_length));

    if (!operation)
        return NULL;
    memset(operation, 0, sizeof(*operation)); /* faster than calloc */
    operation->key = place_octets(operation + 1, entry->key, entry->key_length);
    operation->value = place_octets((char *)(operation + 1) + key, entry->value,
                                    entry->value_length);
    return operation;
}

struct operation *operation_new(struct pbkv *handle, Pbkv__Body__KindCase kind,
                                const struct pbkv_entry *entry,
                                uint32_t deadline_ms, enum pbkv_status *status)
{
    static const struct pbkv_entry nothing;
    struct operation *operation;

    if (!entry)
        entry = &nothing;
    *status = PBKV_INVALID;
    if (!handle || deadline_ms > PBKV_DEADLINE_MAX_MS)
        return NULL;
    *status = check_entry(entry);
    if (*status != PBKV_OK)
        return NULL;
    operation = operation_allocate(entry);
    *status = operation ? PBKV_OK : PBKV_NO_MEMORY;
    if (!operation)
        return NULL;
    if (deadline_ms == 0)
        deadline_ms = handle->deadline_ms;
    operation->handle = handle;
    operation->kind = kind;
    operation->deadline_ticks = deadline_ticks(deadline_ms);
    return operation;
}

void operation_free(struct operation *operation)
{
    if (!operation)
        return;
    /* The role has given its references back. */
    assert(operation->key->references == 1);
    assert(operation->value->references == 1);
    free(operation);
}

/* ---- Asynchronous -------------------------------------------------------- */

static void end_result(struct operation *operation, enum pbkv_status status,
                       const Pbkv__Body *body)
{
    struct pbkv_result result = {status, NULL, 0};

    if (status == PBKV_OK && body->kind_case == PBKV__BODY__KIND_REPLY) {
        result.data = body->reply->value.data;
        result.length = body->reply->value.len;
    }
    operation->on_result(operation->context, &result);
}

/* Submits an operation unless it has failed already, and frees it if nobody
 * took it. */
static enum pbkv_status operation_start(struct operation *operation,
                                        enum pbkv_status status)
{
    if (status == PBKV_OK)
        status = handle_submit(operation);
    if (status != PBKV_OK)
        operation_free(operation);
    return status;
}

static enum pbkv_status start_result(struct operation *operation,
                                     enum pbkv_status status,
                                     pbkv_callback callback, void *context)
{
    if (status == PBKV_OK && !callback)
        status = PBKV_INVALID;
    if (operation) {
        operation->end = end_result;
        operation->on_result = callback;
        operation->context = context;
    }
    return operation_start(operation, status);
}

enum pbkv_status pbkv_get_async(struct pbkv *handle, const void *key,
                                size_t key_length, uint32_t deadline_ms,
                                pbkv_callback callback, void *context)
{
    struct pbkv_entry entry = {.key = key, .key_length = key_length};
    enum pbkv_status status;
    struct operation *operation = operation_new(handle, PBKV__BODY__KIND_GET,
                                                &entry, deadline_ms, &status);

    return start_result(operation, status, callback, context);
}

enum pbkv_status pbkv_put_async(struct pbkv *handle, const void *key,
                                size_t key_length, const void *value,
                                size_t value_length, uint32_t deadline_ms,
                                pbkv_callback callback, void *context)
{
    struct pbkv_entry entry = {key, key_length, value, value_length, 0};
    enum pbkv_status status;
    struct operation *operation = operation_new(handle, PBKV__BODY__KIND_PUT,
                                                &entry, deadline_ms, &status);

    return start_result(operation, status, callback, context);
}

enum pbkv_status pbkv_append_async(struct pbkv *handle, const void *key,
                                   size_t key_length, const void *value,
                                   size_t value_length, uint32_t deadline_ms,
                                   pbkv_callback callback, void *context)
{
    struct pbkv_entry entry = {key, key_length, value, value_length, 0};
    enum pbkv_status status;
    struct operation *operation = operation_new(handle, PBKV__BODY__KIND_APPEND,
                                                &entry, deadline_ms, &status);

    return start_result(operation, status, callback, context);
}

/* Points entries at the octets of a message. */
static void entries_of_page(const Pbkv__Page *page, struct pbkv_entry *entries)
{
    for (size_t i = 0; i < page->n_entries; i++) {
        entries[i].key = page->entries[i]->key.data;
        entries[i].key_length = page->entries[i]->key.len;
        entries[i].value = page->entries[i]->value.data;
        entries[i].value_length = page->entries[i]->value.len;
        entries[i].modified = page->entries[i]->modified;
    }
}

static void end_page(struct operation *operation, enum pbkv_status status,
                     const Pbkv__Body *body)
{
    struct pbkv_page page = {.status = status};
    struct pbkv_entry *entries = NULL;

    if (status == PBKV_OK) {
        entries = calloc(body->page->n_entries + 1, sizeof(*entries));
        if (!entries)
            page.status = PBKV_NO_MEMORY;
    }
    if (entries) {
        entries_of_page(body->page, entries);
        page.entries = entries;
        page.count = body->page->n_entries;
        page.next = body->page->next;
        page.total = body->page->total;
    }
    operation->on_page(operation->context, &page);
    free(entries);
}

enum pbkv_status pbkv_scan_async(struct pbkv *handle, uint64_t cursor,
                                 uint32_t deadline_ms,
                                 pbkv_page_callback callback, void *context)
{
    enum pbkv_status status;
    struct operation *operation = operation_new(handle, PBKV__BODY__KIND_SCAN,
                                                NULL, deadline_ms, &status);

    if (status == PBKV_OK && !callback)
        status = PBKV_INVALID;
    if (operation) {
        operation->cursor = cursor;
        operation->end = end_page;
        operation->on_page = callback;
        operation->context = context;
    }
    return operation_start(operation, status);
}

/* ---- Blocking ------------------------------------------------------------ */

static void end_wait(struct operation *operation, enum pbkv_status status,
                     const Pbkv__Body *body)
{
    struct waiter *waiter = operation->context;

    if (status == PBKV_OK && waiter->copy)
        status = waiter->copy(waiter->result, body);
    handle_wake(operation->handle, waiter, status);
}

enum pbkv_status operation_wait(struct operation *operation,
                                enum pbkv_status status, struct waiter *waiter)
{
    if (status == PBKV_OK) {
        operation->end = end_wait;
        operation->context = waiter;
        status = handle_wait(operation, waiter);
        if (status == PBKV_OK)
            return waiter->status;
    }
    operation_free(operation);
    return status;
}

enum pbkv_status copy_value(struct pbkv_value *value,
                            const ProtobufCBinaryData *octets)
{
    char *data = malloc(octets->len + 1);

    if (!data)
        return PBKV_NO_MEMORY;
    if (octets->len > 0)
        memcpy(data, octets->data, octets->len);
    data[octets->len] = '\0';
    value->data = data;
    value->length = octets->len;
    return PBKV_OK;
}

void pbkv_free(struct pbkv_value *value)
{
    if (!value)
        return;
    free(value->data);
    value->data = NULL;
    value->length = 0;
}

static enum pbkv_status copy_get(void *result, const Pbkv__Body *body)
{
    return copy_value(result, &body->reply->value);
}

enum pbkv_status pbkv_get(struct pbkv *handle, const void *key,
                          size_t key_length, uint32_t deadline_ms,
                          struct pbkv_value *value)
{
    struct pbkv_entry entry = {.key = key, .key_length = key_length};
    struct waiter waiter = {.copy = copy_get, .result = value};
    enum pbkv_status status;
    struct operation *operation;

    if (!value)
        return PBKV_INVALID;
    memset(value, 0, sizeof(*value));
    operation = operation_new(handle, PBKV__BODY__KIND_GET, &entry, deadline_ms,
                              &status);
    return operation_wait(operation, status, &waiter);
}

enum pbkv_status pbkv_put(struct pbkv *handle, const void *key,
                          size_t key_length, const void *value,
                          size_t value_length, uint32_t deadline_ms)
{
    struct pbkv_entry entry = {key, key_length, value, value_length, 0};
    struct waiter waiter = {0};
    enum pbkv_status status;
    struct operation *operation = operation_new(handle, PBKV__BODY__KIND_PUT,
                                                &entry, deadline_ms, &status);

    return operation_wait(operation, status, &waiter);
}

enum pbkv_status pbkv_append(struct pbkv *handle, const void *key,
                             size_t key_length, const void *value,
                             size_t value_length, uint32_t deadline_ms)
{
    struct pbkv_entry entry = {key, key_length, value, value_length, 0};
    struct waiter waiter = {0};
    enum pbkv_status status;
    struct operation *operation = operation_new(handle, PBKV__BODY__KIND_APPEND,
                                                &entry, deadline_ms, &status);

    return operation_wait(operation, status, &waiter);
}

/* ---- Scan ---------------------------------------------------------------- */

/* A page that the scanning thread owns: entries and, behind them, octets. */
struct page_copy {
    struct pbkv_entry *entries;
    size_t count;
    uint64_t next;
    uint64_t total;
};

static const void *copy_behind(char **at, const ProtobufCBinaryData *octets)
{
    const void *start = *at;

    if (octets->len > 0)
        memcpy(*at, octets->data, octets->len);
    *at += octets->len;
    return start;
}

static enum pbkv_status copy_page(void *result, const Pbkv__Body *body)
{
    struct page_copy *copy = result;
    const Pbkv__Page *page = body->page;
    size_t size = (page->n_entries + 1) * sizeof(*copy->entries);
    char *at;

    for (size_t i = 0; i < page->n_entries; i++)
        size += page->entries[i]->key.len + page->entries[i]->value.len;
    copy->entries = malloc(size);
    if (!copy->entries)
        return PBKV_NO_MEMORY;
    entries_of_page(page, copy->entries);
    at = (char *)(copy->entries + page->n_entries);
    for (size_t i = 0; i < page->n_entries; i++) {
        copy->entries[i].key = copy_behind(&at, &page->entries[i]->key);
        copy->entries[i].value = copy_behind(&at, &page->entries[i]->value);
    }
    copy->count = page->n_entries;
    copy->next = page->next;
    copy->total = page->total;
    return PBKV_OK;
}

/* Reads the page at a cursor into *copy, whose entries the caller frees. */
static enum pbkv_status read_page(struct pbkv *handle, uint64_t cursor,
                                  uint32_t deadline_ms, struct page_copy *copy)
{
    struct waiter waiter = {.copy = copy_page, .result = copy};
    enum pbkv_status status;
    struct operation *operation = operation_new(handle, PBKV__BODY__KIND_SCAN,
                                                NULL, deadline_ms, &status);

    memset(copy, 0, sizeof(*copy));
    if (operation)
        operation->cursor = cursor;
    return operation_wait(operation, status, &waiter);
}

/* Hands entries to the user until it has enough. Returns whether it wants more.
 */
static bool hand_out(const struct page_copy *page, pbkv_entry_function on_entry,
                     void *context)
{
    for (size_t i = 0; i < page->count; i++) {
        if (!on_entry(context, &page->entries[i]))
            return false;
    }
    return page->next < page->total;
}

static enum pbkv_status scan_pages(struct pbkv *handle, uint32_t deadline_ms,
                                   pbkv_entry_function on_entry, void *context)
{
    struct page_copy page = {0};
    enum pbkv_status status = PBKV_OK;
    bool more = true;

    while (more && status == PBKV_OK) {
        uint64_t cursor = page.next;

        status = read_page(handle, cursor, deadline_ms, &page);
        /* A page that leads nowhere would be read for ever. */
        if (status == PBKV_OK && page.next < page.total && page.next <= cursor)
            status = PBKV_BAD_REQUEST;
        if (status == PBKV_OK)
            more = hand_out(&page, on_entry, context);
        free(page.entries);
    }
    return status;
}

enum pbkv_status pbkv_scan(struct pbkv *handle, uint32_t deadline_ms,
                           pbkv_entry_function on_entry, void *context)
{
    enum pbkv_status status;

    if (!handle || !on_entry)
        return PBKV_INVALID;
    status = handle_enter(handle);
    if (status != PBKV_OK)
        return status;
    status = scan_pages(handle, deadline_ms, on_entry, context);
    handle_leave(handle);
    return status;
}
