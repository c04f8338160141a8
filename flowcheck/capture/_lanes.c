/* Lanes in C: the same as lanes.py, which says what they are and why. Where this could not be compiled that one is used.

   Everything read is inside the bytes object given and inside the packet at hand; every offset is compared with its end
   before it is used. Numbers that Python hands over and 64 bits do not hold become the nearest ones: then nothing passes. */

#define Py_LIMITED_API 0x030b0000
#define PY_SSIZE_T_CLEAN
#include <Python.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

enum { SHUT, COUNTED, TUNNEL, SEALED, STREAM };
enum { RAW_SHAPE = 6, SLL_SHAPE = 8, INSIDE = 16 };
enum { TCP = 6, UDP = 17 };
enum { WORDS = 5, KEY = 8 * WORDS, MOST_ENDS = 36 };      /* shape, protocol, two IPv6 addresses, two ports: 38 octets */
#define NANO 1000000000LL
#define FORM 2                   /* that of lanes.py: one that was compiled before it changed is not used */

static inline uint32_t be16(const uint8_t *p) { return (uint32_t)p[0] << 8 | p[1]; }
static inline uint32_t be32(const uint8_t *p) { return be16(p) << 16 | be16(p + 2); }
static inline uint32_t le32(const uint8_t *p) {
    return p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
}
static inline uint32_t u32(const uint8_t *p, int big) { return big ? be32(p) : le32(p); }

static int number_of(PyObject *value, int64_t *out) {
    int overflow;
    long long number = PyLong_AsLongLongAndOverflow(value, &overflow);
    if (number == -1 && !overflow && PyErr_Occurred()) return -1;
    *out = overflow > 0 ? INT64_MAX : overflow < 0 ? INT64_MIN : number;
    return overflow != 0;
}

/* Attributes are 64-bit fields; the closure is where in the object they are. */
static PyObject *get_field(PyObject *self, void *at) {
    return PyLong_FromLongLong(*(int64_t *)((char *)self + (size_t)at));
}
static int set_field(PyObject *self, PyObject *value, void *at) {
    if (!value) { PyErr_SetString(PyExc_AttributeError, "cannot be deleted"); return -1; }
    return number_of(value, (int64_t *)((char *)self + (size_t)at)) < 0 ? -1 : 0;
}
#define FIELD(type, name) {#name, get_field, set_field, NULL, (void *)offsetof(type, name)}

/* ------------------------------------------------------------------------------------------------------- lanes */

typedef struct Lane {
    PyObject_HEAD
    int64_t kind, next, left, spi, quiet, keep, holes, packets, octets, missing, last, said, number;
    struct Lane *peer;
    int64_t *frames;
    size_t held, room;
} Lane;

static PyTypeObject *lane_type;

static int keep_frame(Lane *lane, int64_t number) {
    if (lane->held == lane->room) {
        size_t room = lane->room ? 2 * lane->room : 64;
        int64_t *frames = PyMem_Realloc(lane->frames, room * sizeof *frames);
        if (!frames) return 0;
        lane->frames = frames;
        lane->room = room;
    }
    lane->frames[lane->held++] = number;
    return 1;
}

static PyObject *lane_new(PyTypeObject *type, PyObject *args, PyObject *named) {
    int kind;
    if (named && PyDict_Size(named)) { PyErr_SetString(PyExc_TypeError, "Lane takes its kind, not by name"); return NULL; }
    if (!PyArg_ParseTuple(args, "i", &kind)) return NULL;
    Lane *lane = (Lane *)PyType_GenericAlloc(type, 0);      /* all else is zero */
    if (lane) lane->kind = kind;
    return (PyObject *)lane;
}

static int lane_traverse(PyObject *self, visitproc visit, void *arg) {
    Py_VISIT(((Lane *)self)->peer);
    Py_VISIT(Py_TYPE(self));
    return 0;
}

static int lane_clear(PyObject *self) {
    Py_CLEAR(((Lane *)self)->peer);
    return 0;
}

static void lane_dealloc(PyObject *self) {
    PyTypeObject *type = Py_TYPE(self);
    PyObject_GC_UnTrack(self);
    lane_clear(self);
    PyMem_Free(((Lane *)self)->frames);
    PyObject_GC_Del(self);
    Py_DECREF(type);
}

static PyObject *lane_reset(PyObject *self, PyObject *Py_UNUSED(none)) {
    Lane *lane = (Lane *)self;
    lane->packets = lane->octets = lane->missing = lane->said = lane->number = 0;
    PyMem_Free(lane->frames);
    lane->frames = NULL;
    lane->held = lane->room = 0;
    Py_RETURN_NONE;
}

static PyObject *lane_frames(PyObject *self, PyObject *Py_UNUSED(none)) {
    Lane *lane = (Lane *)self;
    PyObject *list = PyList_New((Py_ssize_t)lane->held);
    for (size_t i = 0; list && i < lane->held; i++) {
        PyObject *number = PyLong_FromLongLong(lane->frames[i]);
        if (!number || PyList_SetItem(list, (Py_ssize_t)i, number) < 0) Py_CLEAR(list);
    }
    return list;
}

static PyObject *lane_get_peer(PyObject *self, void *Py_UNUSED(at)) {
    PyObject *peer = (PyObject *)((Lane *)self)->peer;
    return Py_NewRef(peer ? peer : Py_None);
}

static int lane_set_peer(PyObject *self, PyObject *value, void *Py_UNUSED(at)) {
    if (value && !PyObject_TypeCheck(value, lane_type)) { PyErr_SetString(PyExc_TypeError, "the peer of a lane is a lane"); return -1; }
    PyObject *old = (PyObject *)((Lane *)self)->peer;
    ((Lane *)self)->peer = (Lane *)Py_XNewRef(value);
    Py_XDECREF(old);
    return 0;
}

static PyGetSetDef lane_fields[] = {
    FIELD(Lane, kind), FIELD(Lane, next), FIELD(Lane, left), FIELD(Lane, spi), FIELD(Lane, quiet), FIELD(Lane, keep), FIELD(Lane, holes),
    FIELD(Lane, packets), FIELD(Lane, octets), FIELD(Lane, missing), FIELD(Lane, last), FIELD(Lane, said), FIELD(Lane, number),
    {"peer", lane_get_peer, lane_set_peer, NULL, NULL}, {NULL, NULL, NULL, NULL, NULL}};
static PyMethodDef lane_methods[] = {
    {"reset", lane_reset, METH_NOARGS, "The sums begin anew."}, {"frames", lane_frames, METH_NOARGS, NULL}, {NULL, NULL, 0, NULL}};
static PyType_Slot lane_slots[] = {
    {Py_tp_new, lane_new}, {Py_tp_traverse, lane_traverse}, {Py_tp_clear, lane_clear}, {Py_tp_dealloc, lane_dealloc},
    {Py_tp_getset, lane_fields}, {Py_tp_methods, lane_methods},
    {Py_tp_doc, "One direction of a flow: what the next packet must be, and the sums of those that were it."}, {0, NULL}};
static PyType_Spec lane_spec = {"flowcheck.capture._lanes.Lane", sizeof(Lane), 0, Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC, lane_slots};

/* ------------------------------------------------------------------------------------------------------- the table */

typedef struct { uint64_t key[WORDS]; Lane *lane; } Place;

typedef struct {
    PyObject_HEAD
    int64_t latest, base, passed, limit;
    uint64_t seed;               /* not to be guessed, so that no capture can be made whose flows all collide */
    Place *places;               /* a power of two of them, at most two thirds taken; linear probing */
    size_t room, held;
} Scanner;

static inline size_t home(const Scanner *scanner, const uint64_t *key) {
    uint64_t hash = scanner->seed;
    for (int i = 0; i < WORDS; i++) {
        hash = (hash ^ key[i]) * 0x9E3779B97F4A7C15ULL;
        hash ^= hash >> 29;
    }
    return (size_t)(hash ^ hash >> 32) & (scanner->room - 1);
}

static inline Place *find(const Scanner *scanner, const uint64_t *key) {
    size_t at = home(scanner, key);
    while (scanner->places[at].lane && memcmp(scanner->places[at].key, key, KEY)) at = (at + 1) & (scanner->room - 1);
    return scanner->places + at;
}

static inline void make_key(uint64_t *key, int shape, int protocol, const uint8_t *ends, size_t size) {
    uint8_t *octets = (uint8_t *)key;
    memset(key, 0, KEY);
    octets[0] = (uint8_t)shape;
    octets[1] = (uint8_t)protocol;
    memcpy(octets + 2, ends, size);
}

static int grow(Scanner *scanner) {
    size_t before = scanner->room, room = before ? 2 * before : 64;
    Place *old = scanner->places, *places = PyMem_Calloc(room, sizeof *places);
    if (!places) { PyErr_NoMemory(); return -1; }
    scanner->places = places;
    scanner->room = room;
    for (size_t i = 0; i < before; i++)
        if (old[i].lane) *find(scanner, old[i].key) = old[i];
    PyMem_Free(old);
    return 0;
}

static PyObject *scanner_new(PyTypeObject *type, PyObject *Py_UNUSED(args), PyObject *Py_UNUSED(named)) {
    Scanner *scanner = (Scanner *)PyType_GenericAlloc(type, 0);
    if (!scanner) return NULL;
    PyObject *name = PyUnicode_FromString("flowcheck.capture._lanes");      /* its hash differs from process to process */
    if (!name || grow(scanner) < 0) { Py_XDECREF(name); Py_DECREF(scanner); return NULL; }
    scanner->seed = (uint64_t)PyObject_Hash(name) ^ (uint64_t)(uintptr_t)scanner;
    Py_DECREF(name);
    return (PyObject *)scanner;
}

static int scanner_traverse(PyObject *self, visitproc visit, void *arg) {
    Scanner *scanner = (Scanner *)self;
    for (size_t i = 0; i < scanner->room; i++) Py_VISIT(scanner->places[i].lane);
    Py_VISIT(Py_TYPE(self));
    return 0;
}

static int scanner_clear(PyObject *self) {
    Scanner *scanner = (Scanner *)self;
    Place *places = scanner->places;
    size_t room = scanner->room;
    scanner->places = NULL;
    scanner->room = scanner->held = 0;
    for (size_t i = 0; i < room; i++) Py_XDECREF((PyObject *)places[i].lane);
    PyMem_Free(places);
    return 0;
}

static void scanner_dealloc(PyObject *self) {
    PyTypeObject *type = Py_TYPE(self);
    PyObject_GC_UnTrack(self);
    scanner_clear(self);
    PyObject_GC_Del(self);
    Py_DECREF(type);
}

static Py_ssize_t scanner_length(PyObject *self) { return (Py_ssize_t)((Scanner *)self)->held; }

static PyObject *scanner_put(PyObject *self, PyObject *args) {
    Scanner *scanner = (Scanner *)self;
    int shape, protocol;
    const uint8_t *ends;
    Py_ssize_t size;
    PyObject *lane;
    uint64_t key[WORDS];
    if (!PyArg_ParseTuple(args, "iiy#O!", &shape, &protocol, &ends, &size, lane_type, &lane)) return NULL;
    if (size > MOST_ENDS) { PyErr_SetString(PyExc_ValueError, "addresses and ports are too long"); return NULL; }
    if (3 * (scanner->held + 1) > 2 * scanner->room && grow(scanner) < 0) return NULL;
    make_key(key, shape, protocol, ends, (size_t)size);
    Place *place = find(scanner, key);
    PyObject *old = (PyObject *)place->lane;
    if (!old) { memcpy(place->key, key, KEY); scanner->held++; }
    place->lane = (Lane *)Py_NewRef(lane);
    Py_XDECREF(old);
    Py_RETURN_NONE;
}

static PyObject *scanner_drop(PyObject *self, PyObject *args) {
    Scanner *scanner = (Scanner *)self;
    int shape, protocol;
    const uint8_t *ends;
    Py_ssize_t size;
    uint64_t key[WORDS];
    if (!PyArg_ParseTuple(args, "iiy#", &shape, &protocol, &ends, &size)) return NULL;
    if (size > MOST_ENDS || !scanner->room) Py_RETURN_NONE;
    make_key(key, shape, protocol, ends, (size_t)size);
    Place *place = find(scanner, key);
    Lane *gone = place->lane;
    if (gone) {
        size_t mask = scanner->room - 1, empty = (size_t)(place - scanner->places), at = empty;
        place->lane = NULL;
        scanner->held--;
        for (;;) {               /* those behind it move up, so that nothing has to be marked as deleted */
            at = (at + 1) & mask;
            if (!scanner->places[at].lane) break;
            size_t wanted = home(scanner, scanner->places[at].key);
            if (((at - wanted) & mask) >= ((at - empty) & mask)) {
                scanner->places[empty] = scanner->places[at];
                scanner->places[at].lane = NULL;
                empty = at;
            }
        }
        Py_DECREF(gone);
    }
    Py_RETURN_NONE;
}

/* ------------------------------------------------------------------------------------------------------- packets */

typedef struct { Scanner *scanner; int64_t time, number; } Now;

static int take_ip(const Now *now, const uint8_t *p, const uint8_t *end, int shape, int version);

static int take_tunnel(const Now *now, const uint8_t *p, const uint8_t *end, int shape) {
    if (shape >= INSIDE || end - p < 40 || (ptrdiff_t)be16(p + 4) != end - p) return 0;
    if (p[9] != 255 || (ptrdiff_t)be16(p + 10) + 16 != end - p) return 0;
    if (p[8] == 0x30) p += 16;
    else if (p[8] == 0x32 && !p[19]) p += 20;
    else return 0;
    return take_ip(now, p, end, INSIDE + 2 * shape, p[0] >> 4);
}

static int take_lane(const Now *now, Lane *lane, const uint8_t *p, const uint8_t *end, int protocol, int shape) {
    ptrdiff_t size = end - p;
    if (lane->kind == STREAM) {
        if (size < 20) return 0;
        uint32_t sequence = be32(p + 4), acknowledged = be32(p + 8);
        int64_t octets = size - (p[12] >> 4) * 4;
        if (p[13] & 7 || p[12] < 0x50 || sequence != lane->next || octets < 0 || octets > lane->left || !lane->peer) return 0;
        if ((uint32_t)lane->peer->next - acknowledged >= 0x80000000U) return 0;
        if (octets) {
            if (lane->keep && !keep_frame(lane, now->scanner->base + now->number)) return 0;
            lane->next = (uint32_t)(sequence + octets);
            lane->left -= octets;
            lane->octets += octets;
            lane->said = now->time;
        }
    } else if (lane->kind == SHUT || size < 8) {
        return 0;
    } else if (lane->kind == SEALED) {
        if (protocol == UDP) {
            if ((ptrdiff_t)be16(p + 4) != size || size < 36 || p[25] == 0x10 || p[25] == 0x20) return 0;    /* it may be IKE */
            p += 8;
            size -= 8;
        }
        int64_t sequence = be32(p + 4);
        if (be32(p) != lane->spi || sequence < lane->next || (sequence > lane->next && !lane->holes) || now->time < lane->last) return 0;
        if (lane->quiet < 0 || (uint64_t)now->time - (uint64_t)lane->last > (uint64_t)lane->quiet) return 0;
        lane->missing += sequence - lane->next;
        lane->next = sequence + 1;
        lane->octets += size;
        lane->number = now->scanner->base + now->number;
    } else if (lane->kind == TUNNEL) {
        return take_tunnel(now, p, end, shape);
    }
    lane->last = now->time;
    lane->packets++;
    return 1;
}

static int take_ip(const Now *now, const uint8_t *p, const uint8_t *end, int shape, int version) {
    uint64_t key[WORDS];
    const uint8_t *body, *stop;
    int protocol;
    if (version == 6) {
        if (end - p < 48 || p[0] >> 4 != 6) return 0;
        uint32_t length = be16(p + 4);
        if (!length || (ptrdiff_t)length > end - p - 40) return 0;
        protocol = p[6];
        shape++;
        body = p + 40;
        stop = body + length;
        make_key(key, shape, protocol, p + 8, 36);
    } else {
        if (end - p < 28 || p[0] != 0x45 || be16(p + 6) & 0x3FFF) return 0;
        uint32_t total = be16(p + 2);
        if (total < 20 || (ptrdiff_t)total > end - p) return 0;
        protocol = p[9];
        body = p + 20;
        stop = p + total;
        make_key(key, shape, protocol, p + 12, 12);
    }
    Lane *lane = find(now->scanner, key)->lane;
    return lane && take_lane(now, lane, body, stop, protocol, shape);
}

static int take(const Now *now, const uint8_t *p, const uint8_t *end, long link) {
    uint32_t kind;
    int shape = 0;
    if (now->time < now->scanner->latest || end - p < 20) return 0;
    if (link == 1) {
        kind = be16(p + 12);
        p += 14;
        while ((kind == 0x8100 || kind == 0x88A8) && shape < 4 && end - p >= 4) {
            kind = be16(p + 2);
            p += 4;
            shape += 2;
        }
    } else if (link == 12 || link == 14 || link == 101 || link == 228 || link == 229) {
        kind = p[0] >> 4 == 6 ? 0x86DD : 0x0800;
        shape = RAW_SHAPE;
    } else if (link == 113) {
        uint32_t device = be16(p + 2);
        if (device == 824 || device == 803 || device == 801 || device == 802) return 0;     /* none of IP */
        kind = be16(p + 14);
        p += 16;
        shape = SLL_SHAPE;
    } else {
        return 0;
    }
    return kind == 0x0800 ? take_ip(now, p, end, shape, 4) : kind == 0x86DD ? take_ip(now, p, end, shape, 6) : 0;
}

static inline int pass(Scanner *scanner, int64_t time, int64_t number, const uint8_t *p, const uint8_t *end, long link) {
    Now now = {scanner, time, number};
    if (!take(&now, p, end, link)) return 0;
    scanner->latest = time;
    scanner->passed++;
    return 1;
}

/* ------------------------------------------------------------------------------------------------------- files */

static PyObject *scanner_records(PyObject *self, PyObject *args) {
    Scanner *scanner = (Scanner *)self;
    PyObject *block;
    Py_ssize_t at, size;
    long long number, scale, largest;
    long link;
    int order;
    char *octets;
    Py_ssize_t end;
    if (!PyArg_ParseTuple(args, "SnLCnLLl", &block, &at, &number, &order, &size, &scale, &largest, &link)) return NULL;
    if (PyBytes_AsStringAndSize(block, &octets, &end) < 0) return NULL;
    const uint8_t *data = (const uint8_t *)octets;
    int big = order == '>';
    while (at >= 0 && size >= 16 && size <= end && at <= end - size && scanner->room && scanner->passed < scanner->limit) {
        const uint8_t *p = data + at;
        uint32_t captured = u32(p + 8, big);
        if (captured != u32(p + 12, big) || (int64_t)captured > end - size - at || captured > largest) break;
        int64_t time = u32(p, big) * NANO + u32(p + 4, big) * scale;
        if (!pass(scanner, time, number + 1, p + size, p + size + captured, link)) break;
        number++;
        at += size + (Py_ssize_t)captured;
    }
    return Py_BuildValue("nL", at, number);
}

typedef struct { int64_t link, multiply, divide, offset; } Clock;

/* What the reader knows of an interface; 0 where 64 bits do not hold it. */
static int clock_of(PyObject *links, uint32_t interface, Clock *clock) {
    PyObject *known = PyList_GetItem(links, (Py_ssize_t)interface);
    int64_t *fields[] = {&clock->link, &clock->multiply, &clock->divide, &clock->offset};
    if (!known) return -1;
    for (int i = 0; i < 4; i++) {
        PyObject *value = PyTuple_GetItem(known, i);
        int fits = value ? number_of(value, fields[i]) : -1;
        if (fits) return fits < 0 ? -1 : 0;
    }
    return clock->multiply > 0 && clock->divide > 0;
}

static PyObject *scanner_blocks(PyObject *self, PyObject *args) {
    Scanner *scanner = (Scanner *)self;
    PyObject *block, *links;
    Py_ssize_t at, end;
    long long number;
    int order;
    char *octets;
    if (!PyArg_ParseTuple(args, "SnLCO", &block, &at, &number, &order, &links)) return NULL;
    if (PyBytes_AsStringAndSize(block, &octets, &end) < 0) return NULL;
    Py_ssize_t known = PyList_Size(links);
    if (known < 0) return NULL;
    const uint8_t *data = (const uint8_t *)octets;
    int big = order == '>';
    static const char flags[2][4] = {"\2\0\4", {0, 2, 0, 4}};      /* code and length of epb_flags, behind which the options end */
    uint32_t interface = UINT32_MAX;
    Clock clock = {0, 0, 0, 0};
    while (at >= 0 && at <= end - 32 && scanner->room && scanner->passed < scanner->limit) {
        const uint8_t *p = data + at;
        uint32_t total = u32(p + 4, big), captured = u32(p + 20, big);
        if (u32(p, big) != 6 || captured != u32(p + 24, big) || (int64_t)total > end - at || total < 32) break;
        int64_t more = (int64_t)total - 32 - (int64_t)(((uint64_t)captured + 3) & ~(uint64_t)3);
        if (more && (more != 12 || memcmp(p + total - 16, flags[big], 4) || memcmp(p + total - 8, "\0\0\0", 4))) break;
        if (memcmp(p + 4, p + total - 4, 4)) break;
        if (u32(p + 8, big) != interface) {
            if (u32(p + 8, big) >= known) break;
            interface = u32(p + 8, big);
            int fits = clock_of(links, interface, &clock);
            if (fits < 0) return NULL;
            if (!fits) break;
        }
        uint64_t ticks = (uint64_t)u32(p + 12, big) << 32 | u32(p + 16, big);
        if (ticks > (uint64_t)(INT64_MAX / clock.multiply)) break;
        int64_t time = (int64_t)ticks * clock.multiply / clock.divide;
        if (clock.offset > 0 && time > INT64_MAX - clock.offset) break;
        if (!pass(scanner, time + clock.offset, number + 1, p + 28, p + 28 + captured, (long)clock.link)) break;
        number++;
        at += (Py_ssize_t)total;
    }
    return Py_BuildValue("nL", at, number);
}

static PyGetSetDef scanner_fields[] = {
    FIELD(Scanner, latest), FIELD(Scanner, base), FIELD(Scanner, passed), FIELD(Scanner, limit), {NULL, NULL, NULL, NULL, NULL}};
static PyMethodDef scanner_methods[] = {
    {"put", scanner_put, METH_VARARGS, NULL}, {"drop", scanner_drop, METH_VARARGS, NULL},
    {"records", scanner_records, METH_VARARGS, "Passes pcap records."}, {"blocks", scanner_blocks, METH_VARARGS, "Passes enhanced packet blocks."},
    {NULL, NULL, 0, NULL}};
static PyType_Slot scanner_slots[] = {
    {Py_tp_new, scanner_new}, {Py_tp_traverse, scanner_traverse}, {Py_tp_clear, scanner_clear}, {Py_tp_dealloc, scanner_dealloc},
    {Py_tp_getset, scanner_fields}, {Py_tp_methods, scanner_methods}, {Py_sq_length, scanner_length},
    {Py_tp_doc, "Walks over records of a file while all packets belong to lanes."}, {0, NULL}};
static PyType_Spec scanner_spec = {"flowcheck.capture._lanes.Scanner", sizeof(Scanner), 0, Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC, scanner_slots};

static struct PyModuleDef definition = {
    PyModuleDef_HEAD_INIT, "_lanes", "Lanes in C: Lane and Scanner of lanes.py.", -1, NULL, NULL, NULL, NULL, NULL};

PyMODINIT_FUNC PyInit__lanes(void) {
    PyObject *module = PyModule_Create(&definition);
    if (!module) return NULL;
    PyObject *lane = PyType_FromSpec(&lane_spec), *scanner = PyType_FromSpec(&scanner_spec);
    if (!lane || !scanner || PyModule_AddObjectRef(module, "Lane", lane) < 0 || PyModule_AddObjectRef(module, "Scanner", scanner) < 0) {
        Py_XDECREF(lane);
        Py_XDECREF(scanner);
        Py_DECREF(module);
        return NULL;
    }
    if (PyModule_AddIntConstant(module, "FORM", FORM) < 0) { Py_DECREF(module); return NULL; }
    lane_type = (PyTypeObject *)lane;      /* held for as long as the process lives */
    Py_DECREF(scanner);
    return module;
}
