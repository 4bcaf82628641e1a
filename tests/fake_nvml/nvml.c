/* A stand-in for NVIDIA's libnvidia-ml.so.1: the functions that trainer/spec/devices.py calls, with the signatures and
 * structures of nvml.h, answering from the text file that the variable FAKE_NVML names. It is read anew by each
 * nvmlInitWithFlags, so one process can meet one machine after another.
 *
 *   init 18              what nvmlInitWithFlags returns (18: library and kernel module differ); 0 if absent
 *   driver 580.65.06     version of the driver
 *   gpus 8               how many there are
 *   sockets 2            processor sockets over which they are spread evenly
 *   nvlink 1             whether NVLink joins all of them
 *   consumer 1           no ECC, no MIG, no power reading, no peer links: NVML_ERROR_NOT_SUPPORTED, as GeForce cards say
 *   old 1                a driver that lacks the newer functions: the library does not know their names
 *   3.lost 15            the result of every call about GPU 3 (15: it fell off the bus; 16: it needs a reset)
 *   3.hang 20            every call about GPU 3 takes 20 seconds
 *   3.process 4711       process that computes on GPU 3 (up to 8 lines)
 *   3.mig 1   3.mode 2   3.slow 64   3.errors 5   3.remap 1   3.used 60 (GiB)   3.celsius 91
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { SUCCESS = 0, INVALID_ARGUMENT = 2, NOT_SUPPORTED = 3, INSUFFICIENT_SIZE = 7, FUNCTION_NOT_FOUND = 13 };
enum { MAX_GPUS = 64, MAX_PROCESSES = 8 };
enum { SAME_SOCKET = 30, OTHER_SOCKET = 50, P2P_OK = 0, P2P_NOT_SUPPORTED = 5, P2P_NVLINK = 2 };

typedef struct {
    int index, lost, hang, mig, mode, slow, errors, remap, celsius, processes;
    double used;
    unsigned pids[MAX_PROCESSES];
} Gpu;

typedef struct { unsigned long long total, free, used; } Memory;
typedef struct { unsigned gpu, memory; } Utilization;
typedef struct { unsigned pid; unsigned long long used; unsigned gpu_instance, compute_instance; } Process;

static struct { int init, gpus, sockets, nvlink, consumer, old; char driver[80]; Gpu gpu[MAX_GPUS]; } machine;

static const double GIB = 1024.0 * 1024 * 1024;
static const double TOTAL_GIB = 80;

static void set_gpu(Gpu *gpu, const char *key, const char *value) {
    int number = atoi(value);
    if (!strcmp(key, "lost")) gpu->lost = number;
    else if (!strcmp(key, "hang")) gpu->hang = number;
    else if (!strcmp(key, "mig")) gpu->mig = number;
    else if (!strcmp(key, "mode")) gpu->mode = number;
    else if (!strcmp(key, "slow")) gpu->slow = number;
    else if (!strcmp(key, "errors")) gpu->errors = number;
    else if (!strcmp(key, "remap")) gpu->remap = number;
    else if (!strcmp(key, "celsius")) gpu->celsius = number;
    else if (!strcmp(key, "used")) gpu->used = atof(value);
    else if (!strcmp(key, "process") && gpu->processes < MAX_PROCESSES) gpu->pids[gpu->processes++] = number;
    else { fprintf(stderr, "fake nvml: no such fact of a GPU: %s\n", key); abort(); }
}

static void set_machine(const char *key, const char *value) {
    int number = atoi(value);
    if (!strcmp(key, "init")) machine.init = number;
    else if (!strcmp(key, "driver")) snprintf(machine.driver, sizeof machine.driver, "%s", value);
    else if (!strcmp(key, "gpus")) machine.gpus = number;
    else if (!strcmp(key, "sockets")) machine.sockets = number;
    else if (!strcmp(key, "nvlink")) machine.nvlink = number;
    else if (!strcmp(key, "consumer")) machine.consumer = number;
    else if (!strcmp(key, "old")) machine.old = number;
    else { fprintf(stderr, "fake nvml: no such fact: %s\n", key); abort(); }
}

static void read_machine(void) {
    char key[64], value[80], name[64];
    int index;
    const char *path = getenv("FAKE_NVML");
    FILE *file = path ? fopen(path, "r") : NULL;
    memset(&machine, 0, sizeof machine);
    strcpy(machine.driver, "580.65.06");
    machine.sockets = 1;
    for (index = 0; index < MAX_GPUS; index++) {
        machine.gpu[index].index = index;
        machine.gpu[index].celsius = 41;
        machine.gpu[index].used = 0.5;
    }
    while (file && fscanf(file, "%63s %79s", key, value) == 2) {
        if (sscanf(key, "%d.%63s", &index, name) == 2 && index >= 0 && index < MAX_GPUS)
            set_gpu(&machine.gpu[index], name, value);
        else
            set_machine(key, value);
    }
    if (file) fclose(file);
}

/* What every call about a GPU does first. */
static int reach(const Gpu *gpu) {
    if (gpu->hang) sleep(gpu->hang);
    return gpu->lost;
}

/* The same for what cards for games lack. */
static int reach_server_card(const Gpu *gpu) {
    int result = reach(gpu);
    return result ? result : machine.consumer ? NOT_SUPPORTED : SUCCESS;
}

int nvmlInitWithFlags(unsigned flags) { (void)flags; read_machine(); return machine.init; }
int nvmlShutdown(void) { return SUCCESS; }

int nvmlSystemGetDriverVersion(char *text, unsigned length) {
    snprintf(text, length, "%s", machine.driver);
    return SUCCESS;
}

int nvmlDeviceGetCount_v2(unsigned *count) { *count = machine.gpus; return SUCCESS; }

int nvmlDeviceGetHandleByIndex_v2(unsigned index, Gpu **gpu) {
    if (index >= (unsigned)machine.gpus) return INVALID_ARGUMENT;
    *gpu = &machine.gpu[index];
    return reach(*gpu);
}

int nvmlDeviceGetUUID(Gpu *gpu, char *text, unsigned length) {
    snprintf(text, length, "GPU-00000000-0000-0000-0000-%012d", gpu->index);
    return reach(gpu);
}

int nvmlDeviceGetName(Gpu *gpu, char *text, unsigned length) {
    snprintf(text, length, "%s", machine.consumer ? "NVIDIA GeForce RTX 4090" : "NVIDIA H100 80GB HBM3");
    return reach(gpu);
}

int nvmlDeviceGetMemoryInfo(Gpu *gpu, Memory *memory) {
    memory->total = TOTAL_GIB * GIB;
    memory->used = gpu->used * GIB;
    memory->free = memory->total - memory->used;
    return reach(gpu);
}

int nvmlDeviceGetUtilizationRates(Gpu *gpu, Utilization *rates) {
    rates->gpu = gpu->processes ? 97 : 0;
    rates->memory = 0;
    return reach(gpu);
}

int nvmlDeviceGetTemperature(Gpu *gpu, unsigned sensor, unsigned *celsius) {
    (void)sensor;
    *celsius = gpu->celsius;
    return reach(gpu);
}

int nvmlDeviceGetPowerUsage(Gpu *gpu, unsigned *milliwatts) { *milliwatts = 71500; return reach_server_card(gpu); }

/* As NVIDIA's: a first call without room tells how many there are. */
int nvmlDeviceGetComputeRunningProcesses_v2(Gpu *gpu, unsigned *count, Process *processes) {
    unsigned room = *count;
    int i;
    *count = gpu->processes;
    if (gpu->processes && (processes == NULL || room < *count)) return INSUFFICIENT_SIZE;
    for (i = 0; i < gpu->processes; i++) processes[i] = (Process){gpu->pids[i], GIB, 0xFFFFFFFF, 0xFFFFFFFF};
    return reach(gpu);
}

int nvmlDeviceGetComputeRunningProcesses_v3(Gpu *gpu, unsigned *count, Process *processes) {
    return machine.old ? FUNCTION_NOT_FOUND : nvmlDeviceGetComputeRunningProcesses_v2(gpu, count, processes);
}

int nvmlDeviceGetMigMode(Gpu *gpu, unsigned *current, unsigned *pending) {
    *current = *pending = gpu->mig;
    return reach_server_card(gpu);
}

int nvmlDeviceGetComputeMode(Gpu *gpu, unsigned *mode) { *mode = gpu->mode; return reach(gpu); }

int nvmlDeviceGetCurrentClocksThrottleReasons(Gpu *gpu, unsigned long long *reasons) {
    *reasons = gpu->slow;
    return reach(gpu);
}

int nvmlDeviceGetTotalEccErrors(Gpu *gpu, unsigned type, unsigned counter, unsigned long long *count) {
    (void)counter;
    *count = type == 1 ? gpu->errors : 0;
    return reach_server_card(gpu);
}

int nvmlDeviceGetRemappedRows(Gpu *gpu, unsigned *corrected, unsigned *uncorrected, unsigned *pending, unsigned *failed) {
    *corrected = 0;
    *uncorrected = *pending = gpu->remap == 1;
    *failed = gpu->remap == 2;
    return machine.old ? FUNCTION_NOT_FOUND : reach_server_card(gpu);
}

int nvmlDeviceGetTopologyCommonAncestor(Gpu *first, Gpu *second, unsigned *level) {
    int share = (machine.gpus + machine.sockets - 1) / machine.sockets;
    *level = first->index / share == second->index / share ? SAME_SOCKET : OTHER_SOCKET;
    return reach(first) ? reach(first) : reach_server_card(second);
}

int nvmlDeviceGetP2PStatus(Gpu *first, Gpu *second, unsigned capability, unsigned *status) {
    *status = capability == P2P_NVLINK && machine.nvlink ? P2P_OK : P2P_NOT_SUPPORTED;
    return reach(first) ? reach(first) : reach_server_card(second);
}
