/* SPDX-License-Identifier: MIT */
/*
 * world: see world.h. What is to happen waits in a binary heap, ordered by time
 * and, at the same time, by the order in which it was decided; that makes runs
 * exact. A timer that was stopped or set anew leaves its old entry in the heap,
 * which is recognised by its generation and passed over; so is everything meant
 * for an earlier life of a host.
 */
#include "sim/world.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

#include "node/memory.h"
#include "node/message.h"
#include "node/random.h"

enum { EVENT_NAMES_MAX = 128, PER_MILLE = 1000 };

struct host {
    struct peer self;
    struct node *node; /* NULL: down */
    world_birth birth;
    const void *birth_context;
    struct bytes *record;
    uint64_t paused_until;
    uint32_t skew_percent;
    uint64_t timer_generation[TIMERS_MAX]; /* 0: not running */
};

enum happening_kind { HAPPENING_MESSAGE, HAPPENING_TIMER };

struct happening {
    uint64_t time;
    uint64_t order;
    enum happening_kind kind;
    uint16_t from;
    uint16_t to;
    unsigned slot;
    uint64_t life; /* of `to` that it is meant for; 0: any */
    uint64_t from_life;
    uint64_t generation;
    struct bytes *body;
};

struct named_count {
    const char *name;
    uint64_t count;
};

struct world {
    uint64_t now;
    uint64_t order;
    uint64_t random;
    uint64_t generation;
    uint64_t hash;
    struct world_plan plan;
    struct world_counts counts;
    struct host hosts[WORLD_HOSTS_MAX];
    size_t host_count;
    bool cut[WORLD_HOSTS_MAX][WORLD_HOSTS_MAX];
    struct happening *heap;
    size_t heap_count;
    size_t heap_capacity;
    struct env env;
    struct arena arena;
    struct arena answer_arena;
    world_answer answer;
    world_check check;
    void *context;
    world_filter filter;
    world_listener listener;
    void *intercept_context;
    struct named_count names[EVENT_NAMES_MAX];
    size_t name_count;
};

/* ---- The heap ---- */

static bool is_before(const struct happening *a, const struct happening *b)
{
    return a->time < b->time || (a->time == b->time && a->order < b->order);
}

static void heap_push(struct world *world, struct happening *happening)
{
    size_t i = world->heap_count++;

    if (world->heap_count > world->heap_capacity) {
        world->heap_capacity =
            world->heap_capacity ? 2 * world->heap_capacity : 64;
        world->heap = memory_resize(world->heap, world->heap_capacity *
                                                     sizeof(*world->heap));
    }
    happening->order = ++world->order;
    while (i > 0 && is_before(happening, &world->heap[(i - 1) / 2])) {
        world->heap[i] = world->heap[(i - 1) / 2];
        i = (i - 1) / 2;
    }
    world->heap[i] = *happening;
}

static struct happening heap_pop(struct world *world)
{
    struct happening first = world->heap[0];
    struct happening last = world->heap[--world->heap_count];
    size_t i = 0;

    for (;;) {
        size_t child = 2 * i + 1;

        if (child >= world->heap_count)
            break;
        if (child + 1 < world->heap_count &&
            is_before(&world->heap[child + 1], &world->heap[child]))
            child++;
        if (!is_before(&world->heap[child], &last))
            break;
        world->heap[i] = world->heap[child];
        i = child;
    }
    world->heap[i] = last;
    return first;
}

/* ---- Carrying out effects ---- */

static void note(struct world *world, uint64_t a, uint64_t b)
{
    uint64_t words[4] = {world->hash, world->now, a, b};

    world->hash = XXH3_64bits(words, sizeof(words));
}

static bool happens(struct world *world, uint32_t per_mille)
{
    return per_mille > 0 &&
           random_between(&world->random, 0, PER_MILLE - 1) < per_mille;
}

static void count_name(struct world *world, const char *name)
{
    for (size_t i = 0; i < world->name_count; i++) {
        if (world->names[i].name == name ||
            strcmp(world->names[i].name, name) == 0) {
            world->names[i].count++;
            return;
        }
    }
    assert(world->name_count < EVENT_NAMES_MAX);
    world->names[world->name_count++] = (struct named_count){name, 1};
}

/* Returns the host at an address, or host_count. */
static size_t find_host(const struct world *world,
                        const struct address *address)
{
    size_t i = 0;

    while (i < world->host_count &&
           !address_equal(&world->hosts[i].self.address, address))
        i++;
    return i;
}

static uint64_t draw_delay(struct world *world)
{
    const struct world_plan *plan = &world->plan;
    uint64_t delay =
        random_between(&world->random, plan->delay_min_us, plan->delay_max_us);

    if (happens(world, plan->slow))
        delay += random_between(&world->random, 0, plan->slow_us);
    return delay;
}

void world_post(struct world *world, const struct world_message *message)
{
    struct happening happening = {
        .time = world->now + draw_delay(world),
        .kind = HAPPENING_MESSAGE,
        .from = (uint16_t)message->from,
        .to = (uint16_t)message->to,
        .life = message->to_life,
        .from_life = message->from_life,
        .body = bytes_share(message->body),
    };

    assert(message->from < world->host_count);
    assert(message->to < world->host_count);
    heap_push(world, &happening);
}

static void carry_send(struct world *world, size_t from,
                       const struct effect *effect)
{
    struct world_message message = {
        .from = from,
        .from_life = world->hosts[from].self.incarnation,
        .to = find_host(world, &effect->send.to.address),
        .to_life = effect->send.to.incarnation,
        .what = effect->send.what,
        .body = effect->send.body,
    };

    world->counts.sent++;
    if (message.to == world->host_count || happens(world, world->plan.drop) ||
        (world->filter && !world->filter(world->intercept_context, &message))) {
        world->counts.dropped++;
        return;
    }
    if (happens(world, world->plan.dup)) {
        world->counts.doubled++;
        world_post(world, &message);
    }
    world_post(world, &message);
}

static void carry_timer(struct world *world, size_t host,
                        const struct effect *effect)
{
    uint64_t delay = random_between(&world->random, effect->timer.min_ms,
                                    effect->timer.max_ms);
    struct happening happening = {
        .kind = HAPPENING_TIMER,
        .to = (uint16_t)host,
        .slot = effect->timer.slot,
        .life = world->hosts[host].self.incarnation,
        .generation = ++world->generation,
    };

    delay = delay * 10 * world->hosts[host].skew_percent;
    happening.time = world->now + delay;
    world->hosts[host].timer_generation[effect->timer.slot] =
        happening.generation;
    heap_push(world, &happening);
}

static void carry_answer(struct world *world, size_t host,
                         const struct effect *effect)
{
    Pbkv__Body *body;
    int result = message_decode(&world->answer_arena, effect->answer.body->data,
                                effect->answer.body->length, &body);

    assert(result == 0);
    (void)result;
    if (world->answer)
        world->answer(world->context, host, effect->answer.call, body);
}

static void carry_log(struct world *world, size_t host,
                      const struct effect *effect)
{
    count_name(world, effect->log.name);
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

/* Carries out the effects of one event of a host, which may die on the way. */
static void carry_out(struct world *world, size_t index)
{
    const struct host *host = &world->hosts[index];

    for (size_t i = 0; i < world->env.count && host->node; i++) {
        if (happens(world, world->plan.crash_midway) && host->birth)
            world_crash(world, index);
        else
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
    note(world, 1, index);
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

void world_crash(struct world *world, size_t index)
{
    struct host *host = &world->hosts[index];

    assert(host->node && host->birth);
    note(world, 2, index);
    node_release(host->node);
    host->node = NULL;
    host->paused_until = 0;
    memset(host->timer_generation, 0, sizeof(host->timer_generation));
    world->counts.crashes++;
}

void world_restart(struct world *world, size_t index)
{
    struct host *host = &world->hosts[index];

    assert(!host->node && host->birth);
    host->self.incarnation++;
    host->node = host->birth(host->birth_context, &host->self, host->record);
    world->counts.restarts++;
    begin_life(world, index);
}

void world_pause(struct world *world, size_t index, uint64_t duration_us)
{
    assert(world_is_up(world, index));
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
    world->cut[from][to] = cut;
}

void world_heal(struct world *world)
{
    memset(world->cut, 0, sizeof(world->cut));
}

void world_call(struct world *world, size_t host, world_call_function function,
                void *argument)
{
    struct node *node = world_node(world, host);

    assert(node);
    note(world, 3, host);
    function(argument, node, &world->env);
    node->type->check(node);
    carry_out(world, host);
}

/* ---- Time ---- */

static void deliver_message(struct world *world,
                            const struct happening *happening)
{
    struct host *to = &world->hosts[happening->to];
    struct peer from = world->hosts[happening->from].self;
    Pbkv__Body *body;
    int result;

    if (!to->node || world->cut[happening->from][happening->to] ||
        (happening->life != 0 && happening->life != to->self.incarnation)) {
        world->counts.dropped++;
        return;
    }
    from.incarnation = happening->from_life;
    result = message_decode(&world->arena, happening->body->data,
                            happening->body->length, &body);
    assert(result == 0);
    (void)result;
    world->counts.delivered++;
    note(world, XXH3_64bits(happening->body->data, happening->body->length),
         (uint64_t)happening->from << 16 | happening->to);
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
    note(world, 4, (uint64_t)happening->slot << 16 | happening->to);
    node_timer(host->node, &world->env, happening->slot);
    carry_out(world, happening->to);
}

bool world_step(struct world *world, uint64_t limit_us)
{
    struct happening happening;

    if (world->heap_count == 0 || world->heap[0].time > limit_us) {
        if (world->now < limit_us)
            world->now = limit_us;
        return false;
    }
    happening = heap_pop(world);
    world->now = happening.time;
    if (world->hosts[happening.to].paused_until > world->now) {
        happening.time = world->hosts[happening.to].paused_until;
        heap_push(world, &happening);
        return true;
    }
    if (happening.kind == HAPPENING_MESSAGE)
        deliver_message(world, &happening);
    else
        fire_timer(world, &happening);
    bytes_release(happening.body);
    return true;
}

/* ---- The world ---- */

struct world *world_new(uint64_t seed, const struct world_plan *plan)
{
    struct world *world = memory_new(sizeof(*world));

    world->random = seed;
    world->plan = *plan;
    env_init(&world->env);
    world->env.log_level = LOG_LEVEL_FATAL;
    arena_init(&world->arena);
    arena_init_trusted(&world->answer_arena);
    return world;
}

void world_free(struct world *world)
{
    for (size_t i = 0; i < world->host_count; i++) {
        node_release(world->hosts[i].node);
        bytes_release(world->hosts[i].record);
    }
    for (size_t i = 0; i < world->heap_count; i++)
        bytes_release(world->heap[i].body);
    free(world->heap);
    env_release(&world->env);
    arena_release(&world->arena);
    arena_release(&world->answer_arena);
    free(world);
}

void world_set_plan(struct world *world, const struct world_plan *plan)
{
    world->plan = *plan;
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
    for (size_t i = 0; i < world->name_count; i++) {
        if (strcmp(world->names[i].name, name) == 0)
            return world->names[i].count;
    }
    return 0;
}

uint64_t *world_random(struct world *world)
{
    return &world->random;
}
