/* Plain packets in C: the same as plain.py, which says what they are. Where this could not be compiled that one is
   used.

   Everything read is inside the octets of the frame; every length is compared with what is left of them before. */

#define Py_LIMITED_API 0x030b0000
#define PY_SSIZE_T_CLEAN
#include <Python.h>
#include <stdint.h>
#include <string.h>

enum { NUMBER, TIME, LINK, DATA, ORIGINAL_LENGTH, INTERFACE, FRAME_FIELDS };       /* of model.Frame */
enum { PACKET_FIELDS = 10 };                                                       /* of model.Packet */
enum { ETHERNET = 1, IPV4 = 0x0800, IPV6 = 0x86DD, VLAN = 0x8100 };
enum { SHAPES = 4, PROTOCOLS = 256 };
#define FORM 1                   /* that of plain.py: one that was compiled before it changed is not used */

static inline uint32_t be16(const uint8_t *p) { return (uint32_t)p[0] << 8 | p[1]; }

typedef struct {
    PyObject_HEAD
    PyTypeObject *packet;
    PyObject *texts;                       /* of addresses, by their octets */
    PyObject *layers;                      /* of a packet, by shape */
    uint8_t upon[2][PROTOCOLS];            /* may this protocol follow at once, in IPv4 and in IPv6? */
} Plain;

static PyObject *plain_new(PyTypeObject *type, PyObject *args, PyObject *named) {
    PyObject *packet, *texts, *layers;
    const char *upon[2];
    Py_ssize_t sizes[2];
    if (named && PyDict_Size(named)) {
        PyErr_SetString(PyExc_TypeError, "Plain takes no arguments by name");
        return NULL;
    }
    if (!PyArg_ParseTuple(args, "O!OO!y#y#", &PyType_Type, &packet, &texts, &PyTuple_Type, &layers, &upon[0], &sizes[0],
                          &upon[1], &sizes[1])) return NULL;
    if (!PyType_IsSubtype((PyTypeObject *)packet, &PyTuple_Type) || PyTuple_Size(layers) != SHAPES ||
        sizes[0] != PROTOCOLS || sizes[1] != PROTOCOLS) {
        PyErr_SetString(PyExc_ValueError, "not the tables of plain.py");
        return NULL;
    }
    Plain *plain = (Plain *)PyType_GenericAlloc(type, 0);
    if (!plain) return NULL;
    plain->packet = (PyTypeObject *)Py_NewRef(packet);
    plain->texts = Py_NewRef(texts);
    plain->layers = Py_NewRef(layers);
    for (int i = 0; i < 2; i++) memcpy(plain->upon[i], upon[i], PROTOCOLS);
    return (PyObject *)plain;
}

static int plain_traverse(PyObject *self, visitproc visit, void *arg) {
    Plain *plain = (Plain *)self;
    Py_VISIT(plain->packet);
    Py_VISIT(plain->texts);
    Py_VISIT(plain->layers);
    Py_VISIT(Py_TYPE(self));
    return 0;
}

static int plain_clear(PyObject *self) {
    Plain *plain = (Plain *)self;
    Py_CLEAR(plain->packet);
    Py_CLEAR(plain->texts);
    Py_CLEAR(plain->layers);
    return 0;
}

static void plain_dealloc(PyObject *self) {
    PyTypeObject *type = Py_TYPE(self);
    PyObject_GC_UnTrack(self);
    plain_clear(self);
    PyObject_GC_Del(self);
    Py_DECREF(type);
}

static PyObject *text_of(const Plain *plain, const uint8_t *address, Py_ssize_t size) {
    PyObject *octets = PyBytes_FromStringAndSize((const char *)address, size);
    PyObject *text = octets ? PyObject_GetItem(plain->texts, octets) : NULL;
    Py_XDECREF(octets);
    return text;
}

/* A Packet of these fields, which are then its own; NULL where one of them could not be made. */
static PyObject *packet_of(const Plain *plain, PyObject *fields[PACKET_FIELDS]) {
    PyObject *packet = PyType_GenericAlloc(plain->packet, PACKET_FIELDS);
    for (int i = 0; i < PACKET_FIELDS; i++) {
        if (!packet) Py_XDECREF(fields[i]);
        else if (!fields[i] || PyTuple_SetItem(packet, i, fields[i]) < 0) Py_CLEAR(packet);
    }
    return packet;
}

static PyObject *plain_packet(PyObject *self, PyObject *frame) {
    const Plain *plain = (const Plain *)self;
    char *octets;
    Py_ssize_t size;
    if (!PyTuple_Check(frame) || PyTuple_Size(frame) != FRAME_FIELDS) {
        PyErr_SetString(PyExc_TypeError, "not a Frame");
        return NULL;
    }
    long link = PyLong_AsLong(PyTuple_GetItem(frame, LINK));
    if (link == -1 && PyErr_Occurred()) return NULL;
    if (PyBytes_AsStringAndSize(PyTuple_GetItem(frame, DATA), &octets, &size) < 0) return NULL;
    if (link != ETHERNET || size < 38) Py_RETURN_NONE;
    const uint8_t *p = (const uint8_t *)octets + 14, *end = (const uint8_t *)octets + size;
    uint32_t kind = be16(p - 2);
    int tagged = kind == VLAN, six;
    if (tagged) { p += 4; kind = be16(p - 2); }
    Py_ssize_t left = end - p, header, length, identification, wide;
    if (kind == IPV4) {                                    /* 38 octets hold its header even behind a tag */
        six = 0, header = 20, wide = 4, identification = be16(p + 4), length = (Py_ssize_t)be16(p + 2) - header;
        if (p[0] != 0x45 || be16(p + 6) & 0x3FFF || length < 0 || length > left - header || !plain->upon[0][p[9]])
            Py_RETURN_NONE;
    } else if (kind == IPV6 && left >= 40 && p[0] >> 4 == 6) {
        six = 1, header = 40, wide = 16, identification = -1, length = be16(p + 4);
        if (!length || length > left - header || !plain->upon[1][p[6]]) Py_RETURN_NONE;
    } else {
        Py_RETURN_NONE;
    }
    PyObject *src = text_of(plain, p + header - 2 * wide, wide);
    PyObject *dst = src ? text_of(plain, p + header - wide, wide) : NULL;
    if (!dst) { Py_XDECREF(src); return NULL; }
    PyObject *fields[PACKET_FIELDS] = {
        Py_NewRef(PyTuple_GetItem(frame, TIME)), PyTuple_Pack(1, PyTuple_GetItem(frame, NUMBER)),
        Py_NewRef(PyTuple_GetItem(frame, INTERFACE)), Py_NewRef(PyTuple_GetItem(plain->layers, 2 * six + tagged)),
        src, dst, PyLong_FromLong(p[six ? 6 : 9]), PyBytes_FromStringAndSize((const char *)p + header, length),
        PyLong_FromLong(0), PyLong_FromSsize_t(identification)};
    return packet_of(plain, fields);
}

static PyMethodDef plain_methods[] = {
    {"packet", plain_packet, METH_O, "The packet in a frame; None where it is not plain."}, {NULL, NULL, 0, NULL}};
static PyType_Slot plain_slots[] = {
    {Py_tp_new, plain_new}, {Py_tp_traverse, plain_traverse}, {Py_tp_clear, plain_clear},
    {Py_tp_dealloc, plain_dealloc}, {Py_tp_methods, plain_methods}, {Py_tp_doc, "Reads plain frames."}, {0, NULL}};
static PyType_Spec plain_spec = {
    "flowcheck.capture._plain.Plain", sizeof(Plain), 0, Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC, plain_slots};

static struct PyModuleDef definition = {
    PyModuleDef_HEAD_INIT, "_plain", "Plain packets in C: Plain of plain.py.", -1, NULL, NULL, NULL, NULL, NULL};

PyMODINIT_FUNC PyInit__plain(void) {
    PyObject *module = PyModule_Create(&definition);
    PyObject *plain = module ? PyType_FromSpec(&plain_spec) : NULL;
    if (!plain || PyModule_AddObjectRef(module, "Plain", plain) < 0 ||
        PyModule_AddIntConstant(module, "FORM", FORM) < 0)
        Py_CLEAR(module);
    Py_XDECREF(plain);
    return module;
}
