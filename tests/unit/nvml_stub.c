/* A stand-in for the NVIDIA driver library (libnvidia-ml.so.1), for tests of what is done with its answers.
 *
 * It has the functions that the binding nvidia-ml-py calls, under the names and with the structures of NVML's header.
 * NVML_STUB_<function>, or NVML_STUB_<function>_<device>, holds its answers separated by commas, one for each call to
 * that function for that device; the last one repeats. "!15" answers with error code 15. NVML_STUB_devices is the
 * number of devices. Each call appends the function's name as a line to the file NVML_STUB_log.
 *
 * Handles: 100 + i is device i, 200 + i is the MIG instance of device i. UUIDs: GPU-<i>-stub, MIG-<i>-stub.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { SUCCESS = 0, INVALID_ARGUMENT = 2, NOT_FOUND = 6, INSUFFICIENT_SIZE = 7, DEVICES = 8, FUNCTIONS = 32 };

typedef void *Device;
typedef struct { unsigned gpu, memory; } Utilization;
typedef struct { unsigned long long total, free, used; } Memory;
typedef struct { unsigned version; unsigned long long total, reserved, free, used; } MemoryV2;
typedef struct { unsigned pid; unsigned long long used; unsigned instance, compute_instance; } Process;
typedef struct { char legacy[16]; unsigned domain, bus, device, id, subsystem; char bus_id[32]; } Pci;

static struct { const char *name; int calls[DEVICES]; } functions[FUNCTIONS];

static int number(Device device) { return (int)((intptr_t)device % 100); }

static void record(const char *name) {
    const char *path = getenv("NVML_STUB_log");
    FILE *file = path ? fopen(path, "a") : NULL;
    if (file) { fprintf(file, "%s\n", name); fclose(file); }
}

static int *calls(const char *name, int device) {
    int i = 0;
    while (functions[i].name && strcmp(functions[i].name, name)) i++;
    functions[i].name = name;
    return &functions[i].calls[device];
}

/* The next answer of `name` for `device` goes to `text`; returns the error code that it asks for. */
static int answer(const char *name, int device, const char *otherwise, char text[256]) {
    char key[128];
    record(name);
    snprintf(key, sizeof key, "NVML_STUB_%s_%d", name, device);
    const char *script = getenv(key);
    if (!script) {
        snprintf(key, sizeof key, "NVML_STUB_%s", name);
        script = getenv(key);
    }
    if (!script) script = otherwise;
    int skip = (*calls(name, device))++;
    while (skip-- > 0 && strchr(script, ',')) script = strchr(script, ',') + 1;
    snprintf(text, 256, "%.*s", (int)strcspn(script, ","), script);
    return text[0] == '!' ? atoi(text + 1) : SUCCESS;
}

static int integer(const char *name, Device device, const char *otherwise, unsigned *value) {
    char text[256];
    int error = answer(name, number(device), otherwise, text);
    if (!error) *value = (unsigned)strtoul(text, NULL, 10);
    return error;
}

static int string(const char *name, Device device, const char *otherwise, char *value, unsigned length) {
    char text[256];
    int error = answer(name, number(device), otherwise, text);
    if (!error) snprintf(value, length, "%s", text);
    return error;
}

static int devices(void) { return getenv("NVML_STUB_devices") ? atoi(getenv("NVML_STUB_devices")) : 1; }

int nvmlInitWithFlags(unsigned flags) { unsigned none; (void)flags; return integer("nvmlInit", 0, "0", &none); }
int nvmlShutdown(void) { unsigned none; return integer("nvmlShutdown", 0, "0", &none); }

const char *nvmlErrorString(int error) {
    static char text[64];
    snprintf(text, sizeof text, "stub error %d", error);
    return text;
}

int nvmlSystemGetDriverVersion(char *version, unsigned length) {
    return string("nvmlSystemGetDriverVersion", 0, "999.1", version, length);
}

int nvmlDeviceGetCount_v2(unsigned *count) { *count = (unsigned)devices(); return SUCCESS; }

int nvmlDeviceGetHandleByIndex_v2(unsigned index, Device *device) {
    unsigned none;
    *device = (Device)(intptr_t)(100 + index);
    return (int)index < devices() ? integer("nvmlDeviceGetHandleByIndex", *device, "0", &none) : INVALID_ARGUMENT;
}

int nvmlDeviceGetHandleByUUID(const char *uuid, Device *device) {
    int index = 0;
    unsigned none;
    if (sscanf(uuid, "GPU-%d-stub", &index) != 1 && sscanf(uuid, "MIG-%d-stub", &index) != 1) return NOT_FOUND;
    if (index >= devices()) return NOT_FOUND;
    *device = (Device)(intptr_t)((uuid[0] == 'M' ? 200 : 100) + index);
    return integer("nvmlDeviceGetHandleByUUID", *device, "0", &none);
}

int nvmlDeviceGetDeviceHandleFromMigDeviceHandle(Device instance, Device *device) {
    if ((intptr_t)instance < 200) return INVALID_ARGUMENT;
    *device = (Device)((intptr_t)instance - 100);
    return SUCCESS;
}

int nvmlDeviceGetUUID(Device device, char *uuid, unsigned length) {
    snprintf(uuid, length, "%s-%d-stub", (intptr_t)device >= 200 ? "MIG" : "GPU", number(device));
    return SUCCESS;
}

int nvmlDeviceGetIndex(Device device, unsigned *index) { *index = (unsigned)number(device); return SUCCESS; }

int nvmlDeviceGetName(Device device, char *name, unsigned length) {
    return string("nvmlDeviceGetName", device, "Stub 1000", name, length);
}

int nvmlDeviceGetPciInfo_v3(Device device, Pci *pci) {
    memset(pci, 0, sizeof *pci);
    snprintf(pci->bus_id, sizeof pci->bus_id, "00000000:%02X:00.0", number(device));
    return SUCCESS;
}

int nvmlDeviceGetMigMode(Device device, unsigned *current, unsigned *pending) {
    *pending = 0;
    return integer("nvmlDeviceGetMigMode", device, "0", current);
}

int nvmlDeviceGetEnforcedPowerLimit(Device device, unsigned *limit) {
    return integer("nvmlDeviceGetEnforcedPowerLimit", device, "300000", limit);
}

int nvmlDeviceGetMaxClockInfo(Device device, unsigned clock, unsigned *mhz) {
    (void)clock;
    return integer("nvmlDeviceGetMaxClockInfo", device, "1980", mhz);
}

int nvmlDeviceGetUtilizationRates(Device device, Utilization *rates) {
    char text[256];
    /* As the driver does: a MIG instance, and a card that is divided, have none. */
    if ((intptr_t)device >= 200) return INVALID_ARGUMENT;
    int error = answer("nvmlDeviceGetUtilizationRates", number(device), "50/20", text);
    if (!error) sscanf(text, "%u/%u", &rates->gpu, &rates->memory);
    return error;
}

int nvmlDeviceGetMemoryInfo(Device device, Memory *memory) {
    char text[256];
    int error = answer("nvmlDeviceGetMemoryInfo", number(device), "1000", text);
    memory->total = 80000;
    memory->used = strtoull(text, NULL, 10);
    memory->free = memory->total - memory->used;
    return error;
}

int nvmlDeviceGetMemoryInfo_v2(Device device, MemoryV2 *memory) {
    char text[256];
    int error = answer("nvmlDeviceGetMemoryInfo_v2", number(device), "600", text);
    memory->total = (intptr_t)device >= 200 ? 10000 : 80000;
    memory->reserved = strtoull(text, NULL, 10);
    return error;
}

int nvmlDeviceGetPowerUsage(Device device, unsigned *milliwatts) {
    return integer("nvmlDeviceGetPowerUsage", device, "100000", milliwatts);
}

int nvmlDeviceGetTotalEnergyConsumption(Device device, unsigned long long *millijoules) {
    char text[256];
    int error = answer("nvmlDeviceGetTotalEnergyConsumption", number(device), "5000000000000,5000000123456", text);
    *millijoules = strtoull(text, NULL, 10);
    return error;
}

int nvmlDeviceGetClockInfo(Device device, unsigned clock, unsigned *mhz) {
    return clock == 1 ? integer("nvmlDeviceGetClockInfo", device, "1500", mhz) : INVALID_ARGUMENT;
}

int nvmlDeviceGetTemperature(Device device, unsigned sensor, unsigned *celsius) {
    return sensor == 0 ? integer("nvmlDeviceGetTemperature", device, "60", celsius) : INVALID_ARGUMENT;
}

/* Answers: "none", or processes as "pid:bytes" joined by "+", where "self" is the caller and "na" is unknown memory. */
int nvmlDeviceGetComputeRunningProcesses_v3(Device device, unsigned *count, Process *processes) {
    static char text[DEVICES][256];
    int index = number(device), error = SUCCESS;
    if (!processes) error = answer("nvmlDeviceGetComputeRunningProcesses", index, "self:700", text[index]);
    if (error) return error;
    unsigned found = 0, room = processes ? *count : 0;
    for (char *at = text[index]; strcmp(text[index], "none") && at; at = strchr(at, '+') ? strchr(at, '+') + 1 : NULL) {
        if (found < room) {
            char *bytes = strchr(at, ':') + 1;
            processes[found].pid = strncmp(at, "self", 4) ? (unsigned)atoi(at) : (unsigned)getpid();
            processes[found].used = strncmp(bytes, "na", 2) ? strtoull(bytes, NULL, 10) : UINT64_MAX;
        }
        found++;
    }
    *count = found;
    return found > room ? INSUFFICIENT_SIZE : SUCCESS;
}
