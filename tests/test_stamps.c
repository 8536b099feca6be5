/* SPDX-License-Identifier: MIT */
/*
 * Tests of the short cuts for stamps: known heads (message_head.h), noted
 * places (stamp.h) and packed stamps (packed_stamp.h) against the plain way.
 *
 * A receiver has two clocks. Whatever arrives goes the plain way to one of them
 * and the way of the runtime, with all short cuts, to the other; they have to
 * agree on what is accepted, on what is honest, and in every entry. What the
 * senders pack is compared with what protobuf-c packs.
 *
 * Random tests print the seed that they use; PBKV_SEED chooses another.
 */
#include <stdint.h>

#include "clocks/stamp.h"
#include "node/memory.h"
#include "node/message_head.h"
#include "node/random.h"
#include "node/wire.h"
#include "rpc/frame.h"
#include "tests/suite.h"

enum {
    SENDERS = 6, /* of which the last two are clients */
    CLIENTS_FROM = 4,
    STEPS = 20000,
    TIME_OF_THREE_OCTETS = 100000,
    TAG_BODIES = WIRE_TAG(FRAME_BODIES, WIRE_DELIMITED),
};

/* ---- Senders ------------------------------------------------------------- */

/* One who sends on a connection of its own, and what the receiver remembers of
 * that connection. */
struct sender {
    struct host_clock clock;
    struct packed_stamp packed;
    struct peer self;
    struct known_head head;
    struct stamp_places places;
};

/* The receiver, twice, and those who send to it. */
struct scene {
    uint64_t random;
    unsigned names; /* how many hosts there are to know of */
    unsigned lives; /* how many senders there have been */
    struct sender senders[SENDERS];
    struct host_clock plain;
    struct host_clock quick;
    struct arena arenas[2];
    struct bytes *body;
    size_t known;    /* heads */
    size_t places;   /* short cuts of stamp_receive */
    size_t receipts; /* in all */
    size_t refused;
};

static unsigned below(struct scene *scene, unsigned bound)
{
    return (unsigned)(random_next(&scene->random) % bound);
}

/* Begins a life of a sender. */
static void sender_begin(struct scene *scene, struct sender *sender)
{
    char name[HOST_NAME_MAX_LENGTH + 1];

    snprintf(name, sizeof(name), "s%u", scene->lives);
    host_clock_init(&sender->clock, name);
    sender->packed = (struct packed_stamp){0};
    sender->self = peer_at("client:1", ++scene->lives);
}

static struct bytes *echo_encoded(void)
{
    Pbkv__Echo echo = PBKV__ECHO__INIT;
    Pbkv__Body body = PBKV__BODY__INIT;

    body.kind_case = PBKV__BODY__KIND_ECHO;
    body.echo = &echo;
    echo.call = 7;
    return message_encode(&body);
}

static void scene_begin(struct scene *scene, uint64_t seed, unsigned names)
{
    *scene = (struct scene){.random = seed, .names = names};
    for (size_t i = 0; i < SENDERS; i++)
        sender_begin(scene, &scene->senders[i]);
    host_clock_init(&scene->plain, "own");
    host_clock_init(&scene->quick, "own");
    arena_init(&scene->arenas[0]);
    arena_init(&scene->arenas[1]);
    scene->body = echo_encoded();
}

static void scene_end(struct scene *scene)
{
    arena_release(&scene->arenas[0]);
    arena_release(&scene->arenas[1]);
    bytes_release(scene->body);
}

/* Something happens to a sender between two frames. */
static void sender_live(struct scene *scene, struct sender *sender)
{
    char name[HOST_NAME_MAX_LENGTH + 1];
    uint64_t time = random_next(&scene->random) >> (below(scene, 40) + 22);

    snprintf(name, sizeof(name), "%u", below(scene, scene->names));
    switch (below(scene, 100)) {
    case 0: sender_begin(scene, sender); break;
    case 1: vclock_forget(&sender->clock.vector, name); break;
    case 2: vclock_raise(&sender->clock.vector, name, time); break;
    case 3: vclock_raise(&sender->clock.vector, "own", time % 4); break;
    case 4: sender->clock.lamport.time = time; break;
    default: break;
    }
    for (unsigned i = below(scene, 3); i > 0; i--)
        host_clock_tick(&sender->clock);
    if (sender->clock.vector.count > 1)
        sender->clock.vector.entries[1].time += below(scene, 200);
}

/* ---- Frames -------------------------------------------------------------- */

/* Packs the frame that a sender's clock stamps by protobuf-c. */
static struct bytes *pack_plainly(const struct sender *sender,
                                  const struct bytes *encoded)
{
    struct stamp_storage storage;
    Pbkv__Frame frame = PBKV__FRAME__INIT;
    Pbkv__Peer from = PBKV__PEER__INIT;
    Pbkv__Peer to = PBKV__PEER__INIT;
    Pbkv__Body *body = pbkv__body__unpack(NULL, encoded->length, encoded->data);
    struct bytes *octets;

    peer_to_message(&sender->self, &from);
    frame.from = &from;
    frame.to = &to;
    frame.n_bodies = 1;
    frame.bodies = &body;
    host_clock_stamp(&sender->clock, &frame, &storage);
    octets = bytes_new_uninitialised(pbkv__frame__get_packed_size(&frame));
    pbkv__frame__pack(&frame, octets->data);
    pbkv__body__free_unpacked(body, NULL);
    return octets;
}

/* Compares the runtime's packing with it, octet for octet. */
static void expect_same_packing(struct sender *sender,
                                const struct bytes *encoded,
                                const struct bytes *plain)
{
    static uint8_t head[FRAME_HEAD_MAX];
    Pbkv__Frame frame = PBKV__FRAME__INIT;
    Pbkv__Peer from = PBKV__PEER__INIT;
    Pbkv__Peer to = PBKV__PEER__INIT;
    struct outgoing outgoing;
    uint8_t *octets;

    peer_to_message(&sender->self, &from);
    frame.from = &from;
    frame.to = &to;
    packed_stamp_update(&sender->packed, &sender->clock);
    frame_pack(&frame, &sender->packed, encoded, head, &outgoing);
    octets = memory_new(frame_size(&outgoing));
    frame_write(&outgoing, octets);
    ck_assert(frame_length_read(octets) == plain->length &&
              memcmp(octets + FRAME_LENGTH_SIZE, plain->data, plain->length) ==
                  0);
    free(octets);
}

/* Writes the frame anew with something about its stamp changed. */
static struct bytes *doctored(struct scene *scene, struct bytes *octets)
{
    Pbkv__Frame *frame =
        pbkv__frame__unpack(NULL, octets->length, octets->data);
    size_t last = frame->n_vector - 1;
    Pbkv__ClockEntry *entry = frame->vector[below(scene, (unsigned)last + 1)];
    Pbkv__ClockEntry *swapped = frame->vector[last];

    switch (below(scene, 7)) {
    case 0: entry->time = 0; break;
    case 1: entry->time = LAMPORT_MAX + below(scene, 2); break;
    case 2: frame->lamport = LAMPORT_MAX + below(scene, 2); break;
    case 3: frame->lamport = 0; break;
    case 4: entry->host.data[0] = (uint8_t)(' ' + below(scene, 80)); break;
    default:
        frame->vector[last] = frame->vector[last / 2];
        frame->vector[last / 2] = swapped;
    }
    bytes_release(octets);
    octets = bytes_new_uninitialised(pbkv__frame__get_packed_size(frame));
    pbkv__frame__pack(frame, octets->data);
    pbkv__frame__free_unpacked(frame, NULL);
    return octets;
}

/* ---- Receiving ----------------------------------------------------------- */

/* Returns the frame if it is accepted, or NULL. */
static Pbkv__Frame *accept_plainly(struct arena *arena,
                                   const struct bytes *octets)
{
    Pbkv__Frame *frame;

    if (frame_decode(arena, octets->data, octets->length, &frame) < 0 ||
        host_clock_check_stamp(frame) < 0)
        return NULL;
    return frame;
}

/* The same as the runtime does it. */
static Pbkv__Frame *accept_quickly(struct scene *scene, struct sender *sender,
                                   const struct bytes *octets)
{
    struct arena *arena = &scene->arenas[1];
    Pbkv__Frame *frame =
        frame_decode_known(arena, &sender->head, octets->data, octets->length);

    scene->known += frame != NULL;
    if (frame != NULL)
        return frame;
    frame = accept_plainly(arena, octets);
    if (frame != NULL) {
        known_head_learn(&sender->head, frame);
        sender->places = (struct stamp_places){0};
    }
    return frame;
}

static bool entries_are_same(const struct vclock_entry *a,
                             const struct vclock_entry *b)
{
    return strcmp(a->host, b->host) == 0 && a->time == b->time &&
           a->advanced == b->advanced;
}

static bool clocks_are_same(const struct host_clock *a,
                            const struct host_clock *b)
{
    bool same = a->lamport.time == b->lamport.time &&
                a->vector.count == b->vector.count;

    for (size_t i = 0; same && i < a->vector.count; i++)
        same = entries_are_same(&a->vector.entries[i], &b->vector.entries[i]);
    return same;
}

static bool receive_quickly(struct scene *scene, struct sender *sender,
                            const Pbkv__Frame *frame, bool passes)
{
    bool honest;

    if (!stamp_receive(&scene->quick, &sender->places, frame, passes, &honest))
        return host_clock_receive(&scene->quick, frame, passes);
    scene->places++;
    return honest;
}

/* Receives a frame both ways and compares. Until the next event the plain way
 * may have the entry of a client, so the clocks are compared after it. */
static void receive(struct scene *scene, size_t from,
                    const struct bytes *octets)
{
    struct sender *sender = &scene->senders[from];
    bool passes = from >= CLIENTS_FROM;
    const Pbkv__Frame *plain = accept_plainly(&scene->arenas[0], octets);
    const Pbkv__Frame *quick = accept_quickly(scene, sender, octets);

    scene->receipts++;
    scene->refused += plain == NULL;
    ck_assert((plain == NULL) == (quick == NULL));
    if (plain != NULL)
        ck_assert_int_eq(host_clock_receive(&scene->plain, plain, passes),
                         receive_quickly(scene, sender, quick, passes));
    if (below(scene, 2) == 0)
        return;
    host_clock_tick(&scene->plain);
    host_clock_tick(&scene->quick);
    ck_assert(clocks_are_same(&scene->plain, &scene->quick));
}

/* Lets hosts live and send for a while. One frame in `doctored_one_in` is
 * written anew by somebody dishonest. */
static void play(struct scene *scene, unsigned doctored_one_in)
{
    for (size_t step = 0; step < STEPS; step++) {
        size_t from = below(scene, SENDERS);
        struct sender *sender = &scene->senders[from];
        struct bytes *octets;

        sender_live(scene, sender);
        host_clock_tick(&sender->clock);
        octets = pack_plainly(sender, scene->body);
        expect_same_packing(sender, scene->body, octets);
        if (below(scene, doctored_one_in) == 0)
            octets = doctored(scene, octets);
        receive(scene, from, octets);
        bytes_release(octets);
    }
}

/* K2, K4: among a few hosts nearly every frame takes the short cuts. */
TEST(short_cuts_change_no_clock)
{
    static struct scene scene;

    scene_begin(&scene, suite_seed(), 4);
    play(&scene, STEPS);
    ck_assert_uint_gt(scene.known, scene.receipts * 8 / 10);
    ck_assert_uint_gt(scene.places, scene.receipts / 2);
    scene_end(&scene);
}

/* K4: full clocks drop entries, and the places of others change with it. */
TEST(short_cuts_change_no_full_clock)
{
    static struct scene scene;

    scene_begin(&scene, suite_seed(), 300);
    play(&scene, STEPS);
    ck_assert_uint_ge(scene.quick.vector.count, CLOCK_ENTRIES_LIMIT - 1);
    ck_assert_uint_gt(scene.known, scene.receipts / 10);
    ck_assert_uint_gt(scene.places, scene.receipts / 10);
    scene_end(&scene);
}

/* Stamps that are impossible, in another order or of other hosts. */
TEST(dishonest_stamps_are_what_they_are_on_either_way)
{
    static struct scene scene;

    scene_begin(&scene, suite_seed(), 20);
    play(&scene, 3);
    ck_assert_uint_gt(scene.refused, scene.receipts / 10);
    ck_assert_uint_gt(scene.known, scene.receipts / 10);
    ck_assert_uint_gt(scene.places, scene.receipts / 10);
    scene_end(&scene);
}

/* ---- Known heads --------------------------------------------------------- */

/* A frame whose head is known. */
struct lesson {
    struct scene scene;
    struct sender *sender;
    struct bytes *octets;
};

static void lesson_begin(struct lesson *lesson, uint64_t seed)
{
    struct scene *scene = &lesson->scene;

    scene_begin(scene, seed, 1);
    lesson->sender = &scene->senders[0];
    vclock_raise(&lesson->sender->clock.vector, "x", TIME_OF_THREE_OCTETS);
    host_clock_tick(&lesson->sender->clock);
    lesson->octets = pack_plainly(lesson->sender, scene->body);
    ck_assert_ptr_nonnull(
        accept_quickly(scene, lesson->sender, lesson->octets));
    ck_assert_uint_eq(scene->known, 0);
}

static void lesson_end(struct lesson *lesson)
{
    bytes_release(lesson->octets);
    scene_end(&lesson->scene);
}

static Pbkv__Frame *recall(struct lesson *lesson, const struct bytes *octets)
{
    return frame_decode_known(&lesson->scene.arenas[1], &lesson->sender->head,
                              octets->data, octets->length);
}

/* Checks that a frame that is recalled is the one that is there, from whom the
 * head was learnt. */
static void expect_same_frame(struct lesson *lesson, const Pbkv__Frame *frame,
                              const struct bytes *octets)
{
    const Pbkv__Frame *plain = accept_plainly(&lesson->scene.arenas[0], octets);
    Pbkv__Frame whole = *frame;
    struct bytes *again;

    ck_assert_ptr_nonnull(plain);
    ck_assert_ptr_null(frame->from);
    whole.from = plain->from;
    whole.to = plain->to;
    again = bytes_new_uninitialised(pbkv__frame__get_packed_size(&whole));
    ck_assert_uint_eq(pbkv__frame__get_packed_size(plain), again->length);
    pbkv__frame__pack(&whole, again->data);
    ck_assert_mem_eq(again->data, octets->data, octets->length);
    ck_assert_uint_eq(plain->from->incarnation,
                      lesson->sender->self.incarnation);
    ck_assert_uint_eq(plain->to->incarnation, 0);
    bytes_release(again);
}

TEST(a_head_that_repeats_is_known)
{
    static struct lesson lesson;
    Pbkv__Frame *frame;

    lesson_begin(&lesson, 1);
    frame = recall(&lesson, lesson.octets);
    ck_assert_ptr_nonnull(frame);
    expect_same_frame(&lesson, frame, lesson.octets);
    lesson_end(&lesson);
}

/* Any bit flipped: what is still recalled is what the plain way reads. */
TEST(a_head_that_does_not_repeat_is_not_known)
{
    static struct lesson lesson;
    uint64_t random = suite_seed();
    size_t recalled = 0;

    lesson_begin(&lesson, random);
    for (size_t i = 0; i < 8 * (size_t)lesson.octets->length; i++) {
        uint8_t *octet = &lesson.octets->data[i / 8];
        Pbkv__Frame *frame;

        *octet ^= (uint8_t)(1U << i % 8);
        frame = recall(&lesson, lesson.octets);
        if (frame != NULL)
            expect_same_frame(&lesson, frame, lesson.octets);
        recalled += frame != NULL;
        *octet ^= (uint8_t)(1U << i % 8);
    }
    ck_assert_uint_gt(recalled, 8);
    ck_assert_uint_lt(recalled, 8 * (size_t)lesson.octets->length / 2);
    lesson_end(&lesson);
}

/* Protobuf merges fields that come again later; such a frame has a known head
 * and is from somebody else. */
TEST(a_known_head_with_more_behind_it_is_not_known)
{
    static struct lesson lesson;
    struct bytes *longer;

    lesson_begin(&lesson, 1);
    longer = bytes_new_uninitialised(2 * (size_t)lesson.octets->length);
    memcpy(longer->data, lesson.octets->data, lesson.octets->length);
    for (size_t more = 1; more <= lesson.octets->length; more++) {
        memcpy(longer->data + lesson.octets->length, lesson.octets->data, more);
        longer->length = (uint32_t)(lesson.octets->length + more);
        ck_assert_ptr_null(recall(&lesson, longer));
    }
    bytes_release(longer);
    lesson_end(&lesson);
}

/* A time that is shorter than its entry says, so that the rest of the entry
 * looks like the beginning of a body. */
TEST(a_time_fills_its_entry)
{
    static const uint8_t end[] = {5, TAG_BODIES, 2, 0x0a, 0}; /* and a Ping */
    static struct lesson lesson;
    struct bytes *octets;
    size_t head;

    lesson_begin(&lesson, 1);
    octets = lesson.octets;
    head = octets->length - lesson.scene.body->length - 2;
    ck_assert_uint_eq(octets->data[head], TAG_BODIES);
    memcpy(octets->data + head - 3, end, sizeof(end));
    octets->length = (uint32_t)(head - 3 + sizeof(end));
    ck_assert_ptr_null(recall(&lesson, octets));
    ck_assert_ptr_null(accept_plainly(&lesson.scene.arenas[0], octets));
    lesson_end(&lesson);
}

TEST(nothing_is_known_at_the_beginning)
{
    static struct lesson lesson;

    lesson_begin(&lesson, 1);
    lesson.sender->head = (struct known_head){0};
    ck_assert_ptr_null(recall(&lesson, lesson.octets));
    lesson_end(&lesson);
}

TEST(a_head_that_is_too_long_is_forgotten)
{
    static struct lesson lesson;
    char name[HOST_NAME_MAX_LENGTH + 1];
    struct bytes *longer;

    lesson_begin(&lesson, 1);
    for (unsigned i = 0; i < CLOCK_ENTRIES_LIMIT - 2; i++) {
        snprintf(name, sizeof(name), "a-name-of-some-length-%040u", i);
        vclock_raise(&lesson.sender->clock.vector, name, 1);
    }
    longer = pack_plainly(lesson.sender, lesson.scene.body);
    ck_assert_ptr_nonnull(accept_quickly(&lesson.scene, lesson.sender, longer));
    ck_assert_ptr_null(recall(&lesson, longer));
    ck_assert_ptr_null(recall(&lesson, lesson.octets));
    bytes_release(longer);
    lesson_end(&lesson);
}

/* ---- Clocks that do not count their changes ------------------------------ */

/* A clock that does not say when hosts change places goes the plain way. */
TEST(a_clock_that_does_not_count_changes_is_not_relied_on)
{
    static struct lesson lesson;
    struct scene *scene = &lesson.scene;
    struct sender *sender;

    lesson_begin(&lesson, 1);
    sender = lesson.sender;
    scene->quick.vector.changes = 0;
    sender->clock.vector.changes = 0;
    for (size_t i = 0; i < 4; i++) {
        bool honest;
        const Pbkv__Frame *frame =
            accept_plainly(&scene->arenas[0], lesson.octets);

        ck_assert(!stamp_receive(&scene->quick, &sender->places, frame, false,
                                 &honest));
        sender->clock.vector.entries[1].host[0]++; /* nobody is told */
        bytes_release(lesson.octets);
        lesson.octets = pack_plainly(sender, scene->body);
        expect_same_packing(sender, scene->body, lesson.octets);
    }
    lesson_end(&lesson);
}

SUITE("stamps", CASE_LIMIT(short_cuts_change_no_clock, 60),
      CASE_LIMIT(short_cuts_change_no_full_clock, 60),
      CASE_LIMIT(dishonest_stamps_are_what_they_are_on_either_way, 60),
      CASE(a_head_that_repeats_is_known),
      CASE(a_head_that_does_not_repeat_is_not_known),
      CASE(a_known_head_with_more_behind_it_is_not_known),
      CASE(a_time_fills_its_entry), CASE(nothing_is_known_at_the_beginning),
      CASE(a_head_that_is_too_long_is_forgotten),
      CASE(a_clock_that_does_not_count_changes_is_not_relied_on))
