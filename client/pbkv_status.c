/* SPDX-License-Identifier: MIT */
/*
 * pbkv_status: what the statuses of the wire mean to a caller, and in English.
 * The wire has refusals that the role repeats and never hands on; they have no
 * meaning here.
 */
#include "client/pbkv_internal.h"

const char *pbkv_status_text(enum pbkv_status status)
{
    switch (status) {
    case PBKV_OK: return "done";
    case PBKV_NO_KEY: return "the key was never written";
    case PBKV_TIMEOUT:
        return "no answer before the deadline; the outcome is unknown";
    case PBKV_SESSION_EXPIRED:
        return "the servers forgot this client; the outcome is unknown";
    case PBKV_TOO_LARGE: return "the key or the value is too large";
    case PBKV_OVERLOADED: return "too many calls are waiting";
    case PBKV_BAD_REQUEST: return "the server makes no sense of the request";
    case PBKV_INVALID: return "an argument is wrong";
    case PBKV_CLOSED: return "the handle is closed";
    case PBKV_WOULD_DEADLOCK:
        return "a callback must not call a blocking function";
    case PBKV_NO_MEMORY: return "out of memory";
    case PBKV_SYSTEM: return "the system refused";
    }
    return "unknown status";
}

enum pbkv_status status_of_answer(const Pbkv__Body *body)
{
    if (body->kind_case != PBKV__BODY__KIND_REPLY)
        return PBKV_OK;
    switch (body->reply->status) {
    case PBKV__STATUS__OK: return PBKV_OK;
    case PBKV__STATUS__NO_KEY: return PBKV_NO_KEY;
    case PBKV__STATUS__TIMEOUT: return PBKV_TIMEOUT;
    case PBKV__STATUS__SESSION_EXPIRED: return PBKV_SESSION_EXPIRED;
    case PBKV__STATUS__TOO_LARGE: return PBKV_TOO_LARGE;
    case PBKV__STATUS__OVERLOADED: return PBKV_OVERLOADED;
    default: return PBKV_BAD_REQUEST;
    }
}
