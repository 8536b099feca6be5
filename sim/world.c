/* SPDX-License-Identifier: MIT */
/*
 * world: see world.h. What is to happen waits in a queue (world_queue.h). A
 * timer that was stopped or set anew leaves its old entry there, which is
 * recognised by its generation and passed over; so is everything meant for an
 * earlier life of a host.
 *
 * Each link, one way, has a state of its own: whether it is cut, what it does
 * to messages, when its last message arrives and until when it is busy.
 */
#include "sim/world.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

#include "node/memory.h"
#include "node/message.h"
#include "node/random.h"
#include "sim/world_links.h"
#include "sim/world_queue.h"
#include "sim/world_trace.h"

enum {
    EVENT_NAMES_MAX = 128,
    ADDRESS_SLOTS = 256, /* a power of two */
    TURN_US = 500,       /* of a host's loop, at most */
};

/* What the hash tells apart; messages are told by their links. */
enum {
    NOTE_BIRTH = 1 << 30,
    NOTE_DEATH,
    NOTE_CALL,
    NOTE_TIMER,
    NOTE_PAUSE,
};

struct host {
    struct peer self;
    struct node *node; /* NULL: down */
    world_birth birth;
    const void *birth_context;
    struct bytes *record;
    uint64_t paused_until;
    uint32_t skew_percent;
    bool is_client;
    uint64_t timer_generation[TIMERS_MAX]; /* 0: not running */
};

struct named_count {
    const char *name;
    uint64_t count;
};

struct world {
    uint64_t now;
    uint64_t random;
    uint64_t generation;
    uint64_t hash;
    struct world_plan plan;
    struct world_counts counts;
    struct host hosts[WORLD_HOSTS_MAX];
    size_t host_count;
    uint8_t addresses[ADDRESS_SLOTS]; /* index of a host, plus 1; 0: none */
    struct world_links links;
    struct world_queue queue;
    struct world_trace *trace;
    struct env env;
    struct arena arena;
    world_answer answer;
    world_check check;
    void *context;
    world_filter filter;
    world_listener listener;
    void *intercept_context;
    world_alarm alarm;
    world_victim victim;
    world_late late;
    void *govern_context;
    world_arrival arrival;
    void *arrival_context;
    struct named_count names[EVENT_NAMES_MAX];
    size_t name_count;
};

/* ---- Chance and names ---- */

/* Takes an event into the hash: what it is, and the octets that came with it.
 */
static void note_octets(struct world *world, uint64_t what, const void *octets,
                        size_t length)
{
    uint64_t before = (world->hash ^ what) * UINT64_C(0x9e3779b97f4a7c15);

    world->hash = XXH3_64bits_withSeed(octets, length,
                                       before ^ before >> 32 ^ world->now);
}

static void note(struct world *world, uint64_t kind, uint64_t where)
{
    note_octets(world, kind, &where, sizeof(where));
}

static bool happens(struct world *world, uint32_t per_mille)
{
    return world_happens(&world->random, per_mille);
}

static void count_name(struct world *world, const char *name)
{
    size_t i = 0;

    while (i < world->name_count && world->names[i].name != name)
        i++;
    if (i == world->name_count) {
        assert(i < EVENT_NAMES_MAX);
        world->names[world->name_count++].name = name;
    }
    world->names[i].count++;
}

/* Returns the slot of an address: that of the host there, or a free one. */
static uint8_t *address_slot(struct world *world, const struct address *address)
{
    uint64_t hash = XXH3_64bits(address->text, address->length);

    for (;; hash++) {
        uint8_t *slot = &world->addresses[hash % ADDRESS_SLOTS];

        if (*slot == 0 ||
            address_equal(&world->hosts[*slot - 1].self.address, address))
            return slot;
    }
}

/* ---- Messages ---- */

void world_post(struct world *world, const struct world_message *message)
{
    struct happening happening = {
        .kind = HAPPENING_MESSAGE,
        .from = (uint16_t)message->from,
        .to = (uint16_t)message->to,
        .life = message->to_life,
        .from_life = message->from_life,
        .body = bytes_share(message->body),
        .stamp = bytes_share(message->stamp),
    };
    uint64_t time;

    assert(message->from < world->host_count);
    assert(message->to < world->host_count);
    time = links_arrival(&world->links, message->from, message->to, world->now,
                         message->body->length);
    queue_push(&world->queue, time, &happening);
}

/* ---- Carrying out effects ---- */

/* Puts a message on its way, unless it is lost. */
static void set_out(struct world *world, const struct world_message *message)
{
    bool spared = links_at(&world->links, message->from, message->to)->spared;

    if ((!spared && happens(world, world->plan.drop)) ||
        (world->filter && !world->filter(world->intercept_context, message))) {
        world->counts.dropped++;
        return;
    }
    if (!spared && happens(world, world->plan.dup)) {
        world->counts.doubled++;
        world_post(world, message);
    }
    world_post(world, message);
}

static void carry_send(struct world *world, size_t from,
                       const struct effect *effect)
{
    uint8_t to = *address_slot(world, &effect->send.to.address);
    struct world_message message = {
        .from = from,
        .from_life = world->hosts[from].self.incarnation,
        .to = to > 0 ? to - 1u : 0,
        .to_life = effect->send.to.incarnation,
        .what = effect->send.what,
        .body = effect->send.body,
    };

    world->counts.sent++;
    if (world->trace)
        message.stamp = world_trace_send(world->trace, from, effect->send.body);
    if (to > 0)
        set_out(world, &message);
    else
        world->counts.dropped++;
    bytes_release(message.stamp);
}

/* Draws microseconds. A timer without a delay waits for what else comes in this
 * turn of the host's loop. */
static uint64_t draw_timer(struct world *world, size_t host,
                           const struct effect *effect)
{
    uint64_t delay_ms = random_between(&world->random, effect->timer.min_ms,
                                       effect->timer.max_ms);

    if (effect->timer.max_ms == 0)
        return random_between(&world->random, 0, TURN_US);
    return delay_ms * 10 * world->hosts[host].skew_percent;
}

static void carry_timer(struct world *world, size_t host,
                        const struct effect *effect)
{
    struct happening happening = {
        .kind = HAPPENING_TIMER,
        .to = (uint16_t)host,
        .slot = effect->timer.slot,
        .life = world->hosts[host].self.incarnation,
        .generation = ++world->generation,
    };

    world->hosts[host].timer_generation[effect->timer.slot] =
        happening.generation;
    queue_push(&world->queue, world->now + draw_timer(world, host, effect),
               &happening);
}

static void carry_answer(struct world *world, size_t host,
                         const struct effect *effect)
{
    if (world->answer)
        world->answer(world->context, host, effect->answer.call,
                      effect->answer.body);
}

static void carry_log(struct world *world, size_t host,
                      const struct effect *effect)
{
    count_name(world, effect->log.name);
    if (world->trace)
        world_trace_event(world->trace, host, effect->log.name,
                          effect->log.detail);
    if (world->listener)
        world->listener(world->intercept_context, host, effect->log.name);
    if (effect->log.level == LOG_LEVEL_FATAL)
        world_crash(world, host);
}

static void carry(struct world *world, size_t index,
                  const struct effect *effect)
{
    struct host *host = &world->hosts[index];

    switch (effect->kind) {
    case EFFECT_SEND: carry_send(world, index, effect); break;
    case EFFECT_SET_TIMER: carry_timer(world, index, effect); break;
    case EFFECT_STOP_TIMER:
        host->timer_generation[effect->timer.slot] = 0;
        break;
    case EFFECT_PERSIST:
        bytes_release(host->record);
        host->record = bytes_share(effect->persist.record);
        break;
    case EFFECT_ANSWER: carry_answer(world, index, effect); break;
    case EFFECT_LOG: carry_log(world, index, effect); break;
    }
}

/* Whether a host dies now, before its next effect. */
static bool dies_midway(struct world *world, size_t host)
{
    return happens(world, world->plan.midway) && world->hosts[host].birth &&
           !world->hosts[host].is_client &&
           (!world->victim || world->victim(world->govern_context, host));
}

/* Carries out the effects of one event of a host, which may die on the way. */
static void carry_out(struct world *world, size_t index)
{
    const struct host *host = &world->hosts[index];

    for (size_t i = 0; i < world->env.count && host->node; i++) {
        if (dies_midway(world, index)) {
            world->counts.midway++;
            world_crash(world, index);
        } else
            carry(world, index, &world->env.effects[i]);
    }
    env_clear(&world->env);
    world->counts.events++;
    if (world->check)
        world->check(world->context, world, index);
}

/* ---- Hosts ---- */

static void begin_life(struct world *world, size_t index)
{
    struct host *host = &world->hosts[index];

    note(world, NOTE_BIRTH, index);
    host->is_client = strcmp(host->node->type->name, "client") == 0;
    if (world->trace)
        world_trace_birth(world->trace, index, &host->self, host->is_client);
    node_start(world->hosts[index].node, &world->env);
    carry_out(world, index);
}

size_t world_add(struct world *world, const char *address, struct node *node,
                 world_birth birth, const void *context)
{
    size_t index = world->host_count++;
    struct host *host = &world->hosts[index];

    assert(index < WORLD_HOSTS_MAX && (node || birth));
    host->self = peer_at(address, 1);
    *address_slot(world, &host->self.address) = (uint8_t)(index + 1);
    host->birth = birth;
    host->birth_context = context;
    host->skew_percent = 100;
    host->node = node ? node : birth(context, &host->self, NULL);
    begin_life(world, index);
    return index;
}

struct node *world_node(const struct world *world, size_t host)
{
    assert(host < world->host_count);
    return world->hosts[host].node;
}

struct peer world_peer(const struct world *world, size_t host)
{
    assert(host < world->host_count);
    return world->hosts[host].self;
}

const struct bytes *world_record(const struct world *world, size_t host)
{
    assert(host < world->host_count);
    return world->hosts[host].record;
}

bool world_is_up(const struct world *world, size_t host)
{
    return world_node(world, host) != NULL;
}

bool world_is_paused(const struct world *world, size_t host)
{
    assert(host < world->host_count);
    return world->hosts[host].paused_until > world->now;
}

static void end_life(struct world *world, size_t index)
{
    struct host *host = &world->hosts[index];

    assert(host->node && host->birth);
    note(world, NOTE_DEATH, index);
    node_release(host->node);
    host->node = NULL;
    host->paused_until = 0;
    memset(host->timer_generation, 0, sizeof(host->timer_generation));
}

void world_crash(struct world *world, size_t index)
{
    end_life(world, index);
    world->counts.crashes++;
}

static void next_life(struct world *world, size_t index)
{
    struct host *host = &world->hosts[index];

    assert(!host->node && host->birth);
    host->self.incarnation++;
    host->node = host->birth(host->birth_context, &host->self, host->record);
    begin_life(world, index);
}

void world_restart(struct world *world, size_t index)
{
    world->counts.restarts++;
    next_life(world, index);
}

void world_succeed(struct world *world, size_t index)
{
    assert(world->hosts[index].is_client);
    end_life(world, index);
    world->counts.successions++;
    next_life(world, index);
}

void world_pause(struct world *world, size_t index, uint64_t duration_us)
{
    assert(world_is_up(world, index));
    note(world, NOTE_PAUSE, index);
    world->hosts[index].paused_until = world->now + duration_us;
    world->counts.pauses++;
}

void world_skew(struct world *world, size_t host, uint32_t percent)
{
    assert(host < world->host_count && percent > 0);
    world->hosts[host].skew_percent = percent;
}

void world_cut(struct world *world, size_t from, size_t to, bool cut)
{
    assert(from < world->host_count && to < world->host_count);
    links_at(&world->links, from, to)->cut = cut;
}

void world_heal(struct world *world)
{
    links_heal(&world->links);
}

void world_call(struct world *world, size_t host, world_call_function function,
                void *argument)
{
    struct node *node = world_node(world, host);

    assert(node);
    note(world, NOTE_CALL, host);
    function(argument, node, &world->env);
    node->type->check(node);
    carry_out(world, host);
}

/* ---- Time ---- */

/* Whether a message comes through to somebody whom it is meant for. */
static bool arrives(struct world *world, const struct happening *happening)
{
    const struct host *from = &world->hosts[happening->from];
    const struct host *to = &world->hosts[happening->to];
    bool late = !from->node || from->self.incarnation != happening->from_life;

    if (!to->node ||
        links_at(&world->links, happening->from, happening->to)->cut ||
        (happening->life != 0 && happening->life != to->self.incarnation))
        return false;
    return !late || !world->late ||
           world->late(world->govern_context, happening->from,
                       happening->from_life, happening->to);
}

static void tell_arrival(struct world *world, const struct happening *happening,
                         bool delivered)
{
    struct world_message message = {
        .from = happening->from,
        .from_life = happening->from_life,
        .to = happening->to,
        .to_life = happening->life,
        .body = happening->body,
    };

    if (world->arrival)
        world->arrival(world->arrival_context, &message, delivered);
}

static void deliver_message(struct world *world,
                            const struct happening *happening)
{
    struct host *to = &world->hosts[happening->to];
    struct peer from = world->hosts[happening->from].self;
    Pbkv__Body *body;
    int result;

    if (!arrives(world, happening)) {
        world->counts.dropped++;
        tell_arrival(world, happening, false);
        return;
    }
    tell_arrival(world, happening, true);
    from.incarnation = happening->from_life;
    result = message_decode(&world->arena, happening->body->data,
                            happening->body->length, &body);
    assert(result == 0);
    (void)result;
    world->counts.delivered++;
    if (world->trace && happening->stamp)
        world_trace_receive(world->trace, happening->to, happening->from,
                            happening->stamp, body);
    note_octets(world, (uint64_t)happening->from << 16 | happening->to,
                happening->body->data, happening->body->length);
    node_message(to->node, &world->env, &from, body);
    carry_out(world, happening->to);
}

static void fire_timer(struct world *world, const struct happening *happening)
{
    struct host *host = &world->hosts[happening->to];

    if (!host->node || host->self.incarnation != happening->life ||
        host->timer_generation[happening->slot] != happening->generation)
        return;
    host->timer_generation[happening->slot] = 0;
    note(world, NOTE_TIMER, (uint64_t)happening->slot << 16 | happening->to);
    node_timer(host->node, &world->env, happening->slot);
    carry_out(world, happening->to);
}

void world_wake(struct world *world, size_t host, uint64_t delay_us)
{
    struct happening happening = {
        .kind = HAPPENING_WAKE,
        .to = (uint16_t)host,
    };

    assert(host < world->host_count);
    queue_push(&world->queue, world->now + delay_us, &happening);
}

static void happen(struct world *world, const struct happening *happening)
{
    switch (happening->kind) {
    case HAPPENING_MESSAGE: deliver_message(world, happening); break;
    case HAPPENING_TIMER: fire_timer(world, happening); break;
    case HAPPENING_WAKE:
        if (world->alarm)
            world->alarm(world->govern_context, happening->to);
        break;
    }
}

bool world_fire(struct world *world, size_t host, unsigned slot)
{
    struct happening happening = {
        .kind = HAPPENING_TIMER,
        .to = (uint16_t)host,
        .slot = slot,
    };

    assert(host < world->host_count && slot < TIMERS_MAX);
    happening.life = world->hosts[host].self.incarnation;
    happening.generation = world->hosts[host].timer_generation[slot];
    if (happening.generation == 0)
        return false;
    fire_timer(world, &happening);
    return true;
}

bool world_step(struct world *world, uint64_t limit_us)
{
    struct happening happening;
    uint64_t until;

    if (!queue_pop(&world->queue, limit_us, &world->now, &happening)) {
        if (world->now < limit_us)
            world->now = limit_us;
        return false;
    }
    until = world->hosts[happening.to].paused_until;
    if (until > world->now) {
        queue_push(&world->queue, until, &happening);
        return true;
    }
    happen(world, &happening);
    happening_release(&happening);
    return true;
}

/* ---- The world ---- */

struct world *world_new(uint64_t seed, const struct world_plan *plan)
{
    struct world *world = memory_new(sizeof(*world));

    world->random = seed;
    world->plan = *plan;
    queue_init(&world->queue);
    links_init(&world->links, &world->plan, &world->random, &world->counts);
    env_init(&world->env);
    world->env.log_level = LOG_LEVEL_FATAL;
    arena_init(&world->arena);
    return world;
}

void world_free(struct world *world)
{
    for (size_t i = 0; i < world->host_count; i++) {
        node_release(world->hosts[i].node);
        bytes_release(world->hosts[i].record);
    }
    queue_release(&world->queue);
    world_trace_close(world->trace);
    env_release(&world->env);
    arena_release(&world->arena);
    free(world);
}

void world_set_plan(struct world *world, const struct world_plan *plan)
{
    world->plan = *plan;
    links_draw(&world->links, world->host_count);
}

int world_trace(struct world *world, const char *path)
{
    int error;

    assert(world->host_count == 0 && !world->trace);
    error = world_trace_open(path, WORLD_HOSTS_MAX, &world->trace);
    if (error == 0)
        world->env.log_level = LOG_LEVEL_DEBUG;
    return error;
}

int world_trace_end(struct world *world)
{
    int error = world_trace_close(world->trace);

    world->trace = NULL;
    world->env.log_level = LOG_LEVEL_FATAL;
    return error;
}

void world_observe(struct world *world, world_answer answer, world_check check,
                   void *context)
{
    world->answer = answer;
    world->check = check;
    world->context = context;
}

void world_intercept(struct world *world, world_filter filter,
                     world_listener listener, void *context)
{
    world->filter = filter;
    world->listener = listener;
    world->intercept_context = context;
}

void world_govern(struct world *world, world_alarm alarm, world_victim victim,
                  world_late late, void *context)
{
    world->late = late;
    world->alarm = alarm;
    world->victim = victim;
    world->govern_context = context;
}

void world_watch(struct world *world, world_arrival arrival, void *context)
{
    world->arrival = arrival;
    world->arrival_context = context;
}

uint64_t world_now(const struct world *world)
{
    return world->now;
}

const struct world_counts *world_counts(const struct world *world)
{
    return &world->counts;
}

uint64_t world_hash(const struct world *world)
{
    return world->hash;
}

uint64_t world_event_count(const struct world *world, const char *name)
{
    uint64_t count = 0;

    for (size_t i = 0; i < world->name_count; i++) {
        if (strcmp(world->names[i].name, name) == 0)
            count += world->names[i].count;
    }
    return count;
}

uint64_t *world_random(struct world *world)
{
    return &world->random;
}
