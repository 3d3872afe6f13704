/* Says whether a grammar of tree-sitter accepts a text, without making a tree.

   It walks the tables that the grammar's own library holds (ABI 13 to 15), with the grammar's own
   lexer and scanner, on a stack of states only: several times faster than a parse, which allocates a
   node for each token and rule. Where the tables leave a choice it takes one way and keeps the other;
   a way that ends is given up for the last one kept. So an answer "accepted" is as exact as the
   grammar; any other answer says nothing, and the caller parses.

   The layout of the tables is that of tree-sitter/tree-sitter lib/src/parser.h, and what they mean is
   as lib/src/parser.c takes them; the code is ours.

   Does not guard: a scanner of a grammar that does not end or that fails; whoever calls does. */

#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define NO_LOOKAHEAD 0xFFFF /* a lex state: the end of an extra that is a rule */
#define SCANNER_BYTES 1024
#define KEPT 64         /* ways that are kept; older ones are forgotten */
#define FAILURES 4096   /* ways that may end before we give up */
#define DEPTH_MOST (1u << 20)

typedef struct Lexer Lexer;
struct Lexer {
    int32_t lookahead;
    uint16_t result_symbol;
    void (*advance)(Lexer *, bool);
    void (*mark_end)(Lexer *);
    uint32_t (*get_column)(Lexer *);
    bool (*is_at_included_range_start)(const Lexer *);
    bool (*eof)(const Lexer *);
    void (*log)(const Lexer *, const char *, ...);
    /* Ours from here on. */
    const uint8_t *text;
    uint32_t size, at, width, token_start, token_end;
    bool ended;
};

typedef union {
    struct { uint8_t type; uint16_t state; bool extra, repetition; } shift;
    struct { uint8_t type, count; uint16_t symbol; int16_t precedence; uint16_t production; } reduce;
    uint8_t type;
} Action;
enum { SHIFT, REDUCE, ACCEPT, RECOVER };

typedef union {
    Action action;
    struct { uint8_t count; bool reusable; } entry;
} ActionEntry;

typedef struct {
    uint32_t version, symbol_count, alias_count, token_count, external_token_count, state_count,
        large_state_count, production_id_count, field_count;
    uint16_t max_alias_sequence_length;
    const uint16_t *parse_table, *small_parse_table;
    const uint32_t *small_parse_table_map;
    const ActionEntry *parse_actions;
    const void *symbol_names, *field_names, *field_map_slices, *field_map_entries, *symbol_metadata,
        *public_symbol_map, *alias_map, *alias_sequences;
    const uint16_t *lex_modes;
    bool (*lex)(Lexer *, uint16_t);
    bool (*lex_keyword)(Lexer *, uint16_t);
    uint16_t keyword_capture_token;
    struct {
        const bool *states;
        const uint16_t *symbol_map;
        void *(*create)(void);
        void (*destroy)(void *);
        bool (*scan)(void *, Lexer *, const bool *);
        unsigned (*serialize)(void *, char *);
        void (*deserialize)(void *, const char *, unsigned);
    } scanner;
    const uint16_t *primary_state_ids;
    /* Of ABI 15. */
    const char *name;
    const uint16_t *reserved_words;
    uint16_t max_reserved_word_set_size;
} Tables;

typedef struct {
    const Tables *tables;
    uint16_t **rows; /* of the parse table, spread out at first use */
} Grammar;

typedef struct {
    uint16_t symbol;
    bool there, keyword;
    uint32_t end;
} Token;

typedef struct {
    uint16_t *states;
    uint32_t depth, room, at, scanner_bytes;
    char scanner[SCANNER_BYTES];
} Way;

typedef struct {
    Way way;
    Token token;
    Action action;
} Choice;

typedef struct {
    const Grammar *grammar;
    Lexer lexer;
    void *payload;
    Way way;
    Choice kept[KEPT];
    uint32_t first, count;
} Walk;

static void look(Lexer *self) {
    if (self->at >= self->size) {
        self->lookahead = 0;
        self->width = 0;
        return;
    }
    const uint8_t *from = self->text + self->at;
    uint8_t lead = from[0];
    uint32_t left = self->size - self->at;
    if (lead < 0x80) {
        self->lookahead = lead;
        self->width = 1;
    } else if (lead >= 0xC2 && lead < 0xE0 && left > 1) {
        self->lookahead = (lead & 31) << 6 | (from[1] & 63);
        self->width = 2;
    } else if (lead >= 0xE0 && lead < 0xF0 && left > 2) {
        self->lookahead = (lead & 15) << 12 | (from[1] & 63) << 6 | (from[2] & 63);
        self->width = 3;
    } else if (lead >= 0xF0 && left > 3) {
        self->lookahead =
            (lead & 7) << 18 | (from[1] & 63) << 12 | (from[2] & 63) << 6 | (from[3] & 63);
        self->width = 4;
    } else {
        self->lookahead = -1;
        self->width = 1;
    }
}

static void advance(Lexer *self, bool skip) {
    if (self->at >= self->size) return;
    self->at += self->width;
    if (skip) self->token_start = self->at;
    look(self);
}

static void mark_end(Lexer *self) {
    self->token_end = self->at;
    self->ended = true;
}

static uint32_t get_column(Lexer *self) {
    uint32_t at = self->at, column = 0;
    while (at > 0 && self->text[at - 1] != '\n') column += (self->text[--at] & 0xC0) != 0x80;
    if (at == 0 && self->at >= 3 && !memcmp(self->text, "\xEF\xBB\xBF", 3)) column--;
    return column;
}

static bool at_range_start(const Lexer *self) { return self->at == 0 && self->size > 0; }
static bool at_end(const Lexer *self) { return self->at >= self->size; }
static void say_nothing(const Lexer *self, const char *format, ...) { (void)self, (void)format; }

static void begin(Lexer *self, uint32_t at) {
    self->at = at;
    self->token_start = at;
    self->ended = false;
    self->result_symbol = 0;
    look(self);
    if (at == 0 && self->lookahead == 0xFEFF) advance(self, true);
}

static void finish(Lexer *self) {
    if (!self->ended) mark_end(self);
    if (self->token_end < self->token_start) self->token_start = self->token_end;
}

static const uint16_t *row_of(const Grammar *grammar, uint16_t state) {
    const Tables *tables = grammar->tables;
    if (state < tables->large_state_count)
        return tables->parse_table + (size_t)state * tables->symbol_count;
    uint16_t *row = grammar->rows[state];
    if (row) return row;
    row = calloc(tables->symbol_count, sizeof *row);
    if (!row) abort();
    const uint16_t *from =
        tables->small_parse_table + tables->small_parse_table_map[state - tables->large_state_count];
    for (uint16_t groups = *from++; groups; groups--) {
        uint16_t value = *from++;
        for (uint16_t symbols = *from++; symbols; symbols--) row[*from++] = value;
    }
    return grammar->rows[state] = row;
}

static const ActionEntry *actions_of(const Grammar *grammar, uint16_t state, uint16_t symbol) {
    return grammar->tables->parse_actions + row_of(grammar, state)[symbol];
}

static const uint16_t *lex_mode_of(const Tables *tables, uint16_t state) {
    return tables->lex_modes + (size_t)state * (tables->version >= 15 ? 3 : 2);
}

static bool is_reserved(const Tables *tables, uint16_t state, uint16_t symbol) {
    if (tables->version < 15) return false;
    uint16_t set = lex_mode_of(tables, state)[2];
    if (!set) return false;
    const uint16_t *words = tables->reserved_words + (size_t)set * tables->max_reserved_word_set_size;
    for (uint16_t n = 0; n < tables->max_reserved_word_set_size && words[n]; n++)
        if (words[n] == symbol) return true;
    return false;
}

/* Where shifting `symbol` in `state` leads; the state itself for an extra. */
static uint16_t next_of(const Grammar *grammar, uint16_t state, uint16_t symbol) {
    const ActionEntry *entry = actions_of(grammar, state, symbol);
    if (!entry->entry.count) return 0;
    Action last = entry[entry->entry.count].action;
    if (last.type != SHIFT) return 0;
    return last.shift.extra ? state : last.shift.state;
}

/* Lex one token in the state on top; false where there is none. */
static bool lex(Walk *walk, Token *token) {
    const Tables *tables = walk->grammar->tables;
    Lexer *lexer = &walk->lexer;
    Way *way = &walk->way;
    uint16_t state = way->states[way->depth - 1];
    const uint16_t *mode = lex_mode_of(tables, state);
    *token = (Token){0};
    if (mode[0] == NO_LOOKAHEAD) return true;
    if (mode[1]) {
        const bool *valid = tables->scanner.states + (size_t)tables->external_token_count * mode[1];
        begin(lexer, way->at);
        tables->scanner.deserialize(walk->payload, way->scanner, way->scanner_bytes);
        bool found = tables->scanner.scan(walk->payload, lexer, valid);
        finish(lexer);
        if (found) {
            char after[SCANNER_BYTES];
            unsigned bytes = tables->scanner.serialize(walk->payload, after);
            uint16_t symbol = tables->scanner.symbol_map[lexer->result_symbol];
            bool changed = bytes != way->scanner_bytes || memcmp(after, way->scanner, bytes);
            bool empty = lexer->token_end <= way->at && !changed;
            if (!(empty && next_of(walk->grammar, state, symbol) == state)) {
                *token = (Token){.symbol = symbol, .there = true, .end = lexer->token_end};
                /* The scanner's state is the token's; no way goes on without its token. */
                memcpy(way->scanner, after, bytes);
                way->scanner_bytes = bytes;
                return true;
            }
        }
    }
    begin(lexer, way->at);
    if (!tables->lex(lexer, mode[0])) return false;
    finish(lexer);
    *token = (Token){.symbol = lexer->result_symbol, .there = true, .end = lexer->token_end};
    if (token->symbol && token->symbol == tables->keyword_capture_token) {
        begin(lexer, lexer->token_start);
        token->keyword = tables->lex_keyword(lexer, 0);
        finish(lexer);
        uint16_t word = lexer->result_symbol;
        if (token->keyword && lexer->token_end == token->end
            && (actions_of(walk->grammar, state, word)->entry.count || is_reserved(tables, state, word)))
            token->symbol = word;
    }
    return true;
}

static bool push(Way *way, uint16_t state) {
    if (way->depth == way->room) {
        if (way->room >= DEPTH_MOST) return false;
        way->room = way->room ? 2 * way->room : 256;
        way->states = realloc(way->states, way->room * sizeof *way->states);
        if (!way->states) abort();
    }
    way->states[way->depth++] = state;
    return true;
}

static void copy(Way *to, const Way *from) {
    if (to->room < from->depth) {
        to->room = from->room;
        to->states = realloc(to->states, to->room * sizeof *to->states);
        if (!to->states) abort();
    }
    memcpy(to->states, from->states, from->depth * sizeof *to->states);
    memcpy(to->scanner, from->scanner, from->scanner_bytes);
    to->depth = from->depth;
    to->at = from->at;
    to->scanner_bytes = from->scanner_bytes;
}

static void keep(Walk *walk, const Way *before, Token token, Action action) {
    if (walk->count == KEPT) {
        walk->first = (walk->first + 1) % KEPT;
        walk->count--;
    }
    Choice *choice = &walk->kept[(walk->first + walk->count++) % KEPT];
    copy(&choice->way, before);
    choice->token = token;
    choice->action = action;
}

/* Do one action; false where it leads nowhere. relex: set where the next state must lex anew. */
static bool take(Walk *walk, Token *token, Action action, bool *relex) {
    Way *way = &walk->way;
    if (action.type == SHIFT) {
        way->at = token->end;
        *relex = true;
        return action.shift.extra || push(way, action.shift.state);
    }
    if (action.type != REDUCE || way->depth <= action.reduce.count) return false;
    way->depth -= action.reduce.count;
    uint16_t top = way->states[way->depth - 1];
    uint16_t next = row_of(walk->grammar, top)[action.reduce.symbol];
    if (!next) return false;
    if (!token->there) *relex = true;
    /* An extra that is a rule leaves the state as it was. */
    return (!token->there && next == top) || push(way, next);
}

static bool walk_through(Walk *walk) {
    const Grammar *grammar = walk->grammar;
    const Tables *tables = grammar->tables;
    uint64_t steps = 0, steps_most = 64 * (uint64_t)walk->lexer.size + 100000;
    uint32_t failures = 0;
    Token token = {0};
    bool relex = true;
    if (!push(&walk->way, 1)) return false;
    for (;;) {
        if (++steps > steps_most) return false;
        bool alive = !relex || lex(walk, &token);
        relex = false;
        if (alive) {
            uint16_t state = walk->way.states[walk->way.depth - 1];
            const ActionEntry *entry = actions_of(grammar, state, token.symbol);
            if (!entry->entry.count && token.keyword && token.symbol != tables->keyword_capture_token
                && !is_reserved(tables, state, token.symbol)) {
                entry = actions_of(grammar, state, tables->keyword_capture_token);
                if (entry->entry.count) token.symbol = tables->keyword_capture_token;
            }
            /* The last action goes on; those before it are kept. */
            int chosen = -1;
            for (int n = 0; n < entry->entry.count; n++) {
                Action action = entry[n + 1].action;
                if (action.type == ACCEPT) return true;
                if (action.type == RECOVER || (action.type == SHIFT && action.shift.repetition))
                    continue;
                if (chosen >= 0) keep(walk, &walk->way, token, entry[chosen + 1].action);
                chosen = n;
            }
            alive = chosen >= 0 && take(walk, &token, entry[chosen + 1].action, &relex);
        }
        while (!alive) {
            if (!walk->count || ++failures > FAILURES) return false;
            Choice *choice = &walk->kept[(walk->first + --walk->count) % KEPT];
            copy(&walk->way, &choice->way);
            token = choice->token;
            alive = take(walk, &token, choice->action, &relex);
        }
    }
}

/* Return what `recognise` wants for a grammar (a TSLanguage); NULL where its tables are unknown. */
void *recogniser_of(const void *language) {
    const Tables *tables = language;
    if (tables->version < 13 || tables->version > 15) return NULL;
    Grammar *grammar = malloc(sizeof *grammar);
    if (!grammar) return NULL;
    grammar->tables = tables;
    grammar->rows = calloc(tables->state_count, sizeof *grammar->rows);
    return grammar->rows ? grammar : NULL;
}

/* Return 1 where the grammar accepts the text (UTF-8), 0 where that is not known. One thread at a
   time for each grammar. */
int recognise(const void *grammar, const uint8_t *text, uint32_t size) {
    const Tables *tables = ((const Grammar *)grammar)->tables;
    Walk *walk = calloc(1, sizeof *walk);
    if (!walk) return 0;
    walk->grammar = grammar;
    walk->lexer = (Lexer){
        .advance = advance, .mark_end = mark_end, .get_column = get_column,
        .is_at_included_range_start = at_range_start, .eof = at_end, .log = say_nothing,
        .text = text, .size = size,
    };
    if (tables->scanner.create) walk->payload = tables->scanner.create();
    int accepted = walk_through(walk);
    if (tables->scanner.destroy) tables->scanner.destroy(walk->payload);
    for (int n = 0; n < KEPT; n++) free(walk->kept[n].way.states);
    free(walk->way.states);
    free(walk);
    return accepted;
}
