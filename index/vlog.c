/*
 * vlog.c: the writer's side of the vector logs: opening, appending, syncing,
 * rolling, dropping. Reading is vlog_read.c; the format is drawn in vlog.h.
 * Only the writer thread calls the functions here, apart from
 * inv_vlog_files, which takes a lock of its own.
 */
#include "index/vlog_file.h"

#include "base/crc32c.h"
#include "base/file.h"
#include "base/log.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define FORMAT_VERSION 1
#define BYTE_ORDER_MARK UINT32_C(0x01020304)

struct inv_vlog {
    char *dir;
    size_t roll_bytes;
    pthread_mutex_t lock; /* of `set` */
    struct inv_vlog_set *set;
    struct inv_vlog_file *current; /* also in set; NULL before any */
    uint32_t next_number; /* never given twice, not even for a lost file */
    char *scratch;        /* a record being put together */
    size_t scratch_cap;
    bool dirty, dir_dirty, broken;
};

static void file_release(void *self) {
    struct inv_vlog_file *file = self;
    if (file->map != NULL)
        munmap(file->map, file->map_bytes);
    if (file->fd >= 0)
        close(file->fd);
    if (atomic_load(&file->doomed) && unlink(file->path) != 0)
        inv_log(INV_LOG_WARN, "vlog", "cannot remove %s: %s", file->path,
                strerror(errno));
    free(file->path);
    free(file);
}

static void set_release(void *self) {
    struct inv_vlog_set *set = self;
    for (size_t i = 0; i < set->count; i++)
        inv_ref_put(set->files[i]);
    free(set);
}

static struct inv_vlog_set *set_new(size_t count) {
    struct inv_vlog_set *set =
        calloc(1, sizeof *set + count * sizeof(struct inv_vlog_file *));
    if (set != NULL) {
        inv_ref_init(&set->ref, set_release);
        set->count = count;
    }
    return set;
}

static void file_header(uint32_t number, unsigned char *out) {
    memset(out, 0, INV_VLOG_HEADER);
    memcpy(out, "INVARLOG", 8);
    uint32_t words[3] = {FORMAT_VERSION, BYTE_ORDER_MARK, number};
    memcpy(out + 8, words, sizeof words);
    uint32_t crc = inv_crc32c(0, out, 20);
    memcpy(out + 20, &crc, sizeof crc);
}

static enum inv_status check_header(int fd, const char *path, uint32_t number,
                                    struct inv_err *err) {
    unsigned char want[INV_VLOG_HEADER];
    unsigned char have[INV_VLOG_HEADER];
    file_header(number, want);
    ssize_t n = pread(fd, have, sizeof have, 0);
    if (n == (ssize_t)sizeof have && memcmp(want, have, sizeof have) == 0)
        return INV_OK;
    return inv_fail(err, INV_CORRUPT,
                    "%s: the header is not that of a vector log of format %d, "
                    "number %u",
                    path, FORMAT_VERSION, number);
}

/* Maps a fixed range that the file may grow into, so that growing never moves
 * what readers hold. */
static enum inv_status map_file(struct inv_vlog_file *file, size_t bytes,
                                struct inv_err *err) {
    void *map = mmap(NULL, bytes, PROT_READ, MAP_SHARED, file->fd, 0);
    if (map == MAP_FAILED)
        return inv_fail_errno(err, errno, "cannot map %s", file->path);
    file->map = map;
    file->map_bytes = bytes;
    return INV_OK;
}

static struct inv_vlog_file *file_new(const char *dir, uint32_t number,
                                      struct inv_err *err) {
    struct inv_vlog_file *file = calloc(1, sizeof *file);
    if (file != NULL) {
        inv_ref_init(&file->ref, file_release);
        file->fd = -1;
        file->number = number;
        if (asprintf(&file->path, "%s/%08u.vlog", dir, number) < 0) {
            free(file);
            file = NULL;
        }
    }
    if (file == NULL)
        (void)inv_fail(err, INV_MEMORY, "out of memory opening a vector log");
    return file;
}

/* An existing file. `end`: cut behind it (UINT64_MAX: leave the file). `room`:
 * to be mapped for growing into, 0 when it is only read. */
static enum inv_status file_open(const char *dir, uint32_t number, uint64_t end,
                                 size_t room, struct inv_vlog_file **out,
                                 struct inv_err *err) {
    struct inv_vlog_file *file = file_new(dir, number, err);
    if (file == NULL)
        return INV_MEMORY;
    struct stat st;
    enum inv_status status = INV_OK;
    file->fd = open(file->path, (room > 0 ? O_RDWR : O_RDONLY) | O_CLOEXEC);
    if (file->fd < 0 || fstat(file->fd, &st) != 0) {
        status = inv_fail_errno(err, errno, "cannot open %s", file->path);
        goto done;
    }
    status = check_header(file->fd, file->path, number, err);
    if (status != INV_OK)
        goto done;
    uint64_t size = (uint64_t)st.st_size;
    if (end < size) {
        inv_log(INV_LOG_INFO, "vlog",
                "%s: cutting %llu unacknowledged bytes behind %llu", file->path,
                (unsigned long long)(size - end), (unsigned long long)end);
        if (ftruncate(file->fd, (off_t)end) != 0 || fdatasync(file->fd) != 0) {
            status = inv_fail_errno(err, errno, "cannot cut %s", file->path);
            goto done;
        }
        size = end;
    }
    atomic_init(&file->size, size);
    status = map_file(file, size > room ? (size_t)size : room, err);
done:
    if (status != INV_OK) {
        inv_ref_put(file);
        return status;
    }
    *out = file;
    return INV_OK;
}

static enum inv_status file_create(const char *dir, uint32_t number,
                                   size_t room, struct inv_vlog_file **out,
                                   struct inv_err *err) {
    struct inv_vlog_file *file = file_new(dir, number, err);
    if (file == NULL)
        return INV_MEMORY;
    unsigned char header[INV_VLOG_HEADER];
    file_header(number, header);
    enum inv_status status = INV_OK;
    file->fd = open(file->path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0640);
    if (file->fd < 0)
        status = inv_fail_errno(err, errno, "cannot create %s", file->path);
    if (status == INV_OK)
        status = inv_file_pwrite_all(file->fd, header, sizeof header, 0, err);
    atomic_init(&file->size, sizeof header);
    if (status == INV_OK)
        status = map_file(file, room, err);
    if (status != INV_OK) {
        atomic_store(&file->doomed, file->fd >= 0);
        inv_ref_put(file);
        return status;
    }
    *out = file;
    return INV_OK;
}

/* Replaces the set by one with `file` added (taking the reference, also on
 * failure) and, when `drop` is not 0, that number left out. */
static enum inv_status change_set(struct inv_vlog *vlog,
                                  struct inv_vlog_file *file, uint32_t drop,
                                  struct inv_err *err) {
    struct inv_vlog_set *old = vlog->set;
    struct inv_vlog_set *set = set_new(old->count + 1);
    if (set == NULL) {
        inv_ref_put(file);
        return inv_fail(err, INV_MEMORY, "out of memory opening a vector log");
    }
    set->count = 0;
    for (size_t i = 0; i < old->count; i++)
        if (old->files[i]->number != drop)
            set->files[set->count++] = inv_ref_get(old->files[i]);
    if (file != NULL)
        set->files[set->count++] = file;
    pthread_mutex_lock(&vlog->lock);
    vlog->set = set;
    pthread_mutex_unlock(&vlog->lock);
    inv_ref_put(old);
    return INV_OK;
}

static int by_number(const void *a, const void *b) {
    uint32_t x = *(const uint32_t *)a;
    uint32_t y = *(const uint32_t *)b;
    return (x > y) - (x < y);
}

/* The numbers of the .vlog files of a directory, ascending. */
static enum inv_status list_files(const char *dir, uint32_t **numbers,
                                  size_t *count, struct inv_err *err) {
    DIR *handle = opendir(dir);
    if (handle == NULL)
        return inv_fail_errno(err, errno, "cannot read %s", dir);
    size_t n = 0;
    size_t cap = 0;
    uint32_t *list = NULL;
    struct dirent *entry;
    enum inv_status status = INV_OK;
    while ((entry = readdir(handle)) != NULL) {
        char name[32];
        uint32_t number = (uint32_t)strtoul(entry->d_name, NULL, 10);
        snprintf(name, sizeof name, "%08u.vlog", number);
        if (strcmp(name, entry->d_name) != 0)
            continue;
        if (n == cap) {
            cap = cap == 0 ? 16 : cap * 2;
            uint32_t *more = realloc(list, cap * sizeof *list);
            if (more == NULL) {
                status =
                    inv_fail(err, INV_MEMORY, "out of memory reading %s", dir);
                break;
            }
            list = more;
        }
        list[n++] = number;
    }
    closedir(handle);
    if (status != INV_OK) {
        free(list);
        return status;
    }
    if (n > 0)
        qsort(list, n, sizeof *list, by_number);
    *numbers = list;
    *count = n;
    return INV_OK;
}

static const struct inv_vlog_end *find_end(const struct inv_vlog_end *ends,
                                           size_t count, uint32_t file) {
    for (size_t i = 0; i < count; i++)
        if (ends[i].file == file)
            return &ends[i];
    return NULL;
}

/* A file that cannot be opened as a log. One that nothing references is what a
 * crash left between making the file and writing its header: it goes. Of
 * another the records are refused one by one, and the other files serve on. */
static void skip_damaged(struct inv_vlog *vlog, uint32_t number,
                         bool referenced, const struct inv_err *why) {
    char path[4096];
    inv_log(INV_LOG_ERROR, "vlog", "%s%s", why->text,
            referenced ? "" : "; nothing refers to it: it is removed");
    snprintf(path, sizeof path, "%s/%08u.vlog", vlog->dir, number);
    if (!referenced && unlink(path) != 0)
        inv_log(INV_LOG_WARN, "vlog", "cannot remove %s: %s", path,
                strerror(errno));
}

static enum inv_status open_one(struct inv_vlog *vlog, uint32_t number,
                                const struct inv_vlog_end *end, bool newest,
                                struct inv_err *err) {
    struct inv_vlog_file *file = NULL;
    struct inv_err why = {0};
    uint64_t cut = UINT64_MAX;
    if (newest)
        cut = end == NULL ? INV_VLOG_HEADER : end->end;
    enum inv_status status = file_open(
        vlog->dir, number, cut, newest ? vlog->roll_bytes : 0, &file, &why);
    if (status == INV_CORRUPT) {
        skip_damaged(vlog, number, end != NULL, &why);
        return INV_OK;
    }
    if (status != INV_OK) {
        if (err != NULL)
            *err = why;
        return status;
    }
    if (end == NULL && !newest) {
        atomic_store(&file->doomed, true);
        inv_ref_put(file);
        return INV_OK;
    }
    status = change_set(vlog, file, 0, err);
    /* A file shorter than what it is to hold must not grow again: new records
     * would lie where lost ones are still looked for. */
    if (status == INV_OK && newest && cut <= atomic_load(&file->size))
        vlog->current = file;
    return status;
}

static enum inv_status open_files(struct inv_vlog *vlog,
                                  const struct inv_vlog_end *ends,
                                  size_t end_count, struct inv_err *err) {
    uint32_t *numbers = NULL;
    size_t count = 0;
    enum inv_status status = list_files(vlog->dir, &numbers, &count, err);
    for (size_t i = 0; i < end_count; i++)
        if (ends[i].file >= vlog->next_number)
            vlog->next_number = ends[i].file + 1;
    for (size_t i = 0; status == INV_OK && i < count; i++) {
        if (numbers[i] >= vlog->next_number)
            vlog->next_number = numbers[i] + 1;
        status =
            open_one(vlog, numbers[i], find_end(ends, end_count, numbers[i]),
                     i + 1 == count, err);
    }
    free(numbers);
    return status;
}

enum inv_status inv_vlog_look(const char *dir,
                              void (*bad)(void *ctx, const char *why),
                              void *ctx, struct inv_vlog_set **out,
                              struct inv_err *err) {
    uint32_t *numbers = NULL;
    size_t count = 0;
    enum inv_status status = list_files(dir, &numbers, &count, err);
    if (status != INV_OK)
        return status;
    struct inv_vlog_set *set = set_new(count);
    if (set == NULL)
        status = inv_fail(err, INV_MEMORY, "out of memory opening %s", dir);
    else
        set->count = 0;
    for (size_t i = 0; status == INV_OK && i < count; i++) {
        struct inv_err why = {0};
        status = file_open(dir, numbers[i], UINT64_MAX, 0,
                           &set->files[set->count], &why);
        if (status == INV_OK) {
            set->count++;
        } else if (status == INV_CORRUPT) {
            bad(ctx, why.text);
            status = INV_OK;
        } else if (err != NULL) {
            *err = why;
        }
    }
    free(numbers);
    if (status != INV_OK) {
        inv_ref_put(set);
        return status;
    }
    *out = set;
    return INV_OK;
}

enum inv_status inv_vlog_open(const char *dir, const struct inv_vlog_end *ends,
                              size_t end_count, size_t roll_bytes,
                              struct inv_vlog **out, struct inv_err *err) {
    enum inv_status status = inv_file_mkdirs(dir, err);
    if (status != INV_OK)
        return status;
    struct inv_vlog *vlog = calloc(1, sizeof *vlog);
    if (vlog == NULL)
        return inv_fail(err, INV_MEMORY, "out of memory opening %s", dir);
    pthread_mutex_init(&vlog->lock, NULL);
    vlog->roll_bytes = roll_bytes;
    vlog->next_number = 1;
    vlog->dir = strdup(dir);
    vlog->set = set_new(0);
    if (vlog->dir == NULL || vlog->set == NULL)
        status = inv_fail(err, INV_MEMORY, "out of memory opening %s", dir);
    else
        status = open_files(vlog, ends, end_count, err);
    if (status != INV_OK) {
        inv_vlog_close(vlog);
        return status;
    }
    *out = vlog;
    return INV_OK;
}

void inv_vlog_close(struct inv_vlog *vlog) {
    if (vlog == NULL)
        return;
    inv_ref_put(vlog->set);
    pthread_mutex_destroy(&vlog->lock);
    free(vlog->scratch);
    free(vlog->dir);
    free(vlog);
}

struct inv_vlog_set *inv_vlog_files(struct inv_vlog *vlog) {
    pthread_mutex_lock(&vlog->lock);
    struct inv_vlog_set *set = inv_ref_get(vlog->set);
    pthread_mutex_unlock(&vlog->lock);
    return set;
}

uint32_t inv_vlog_current(const struct inv_vlog *vlog) {
    return vlog->current == NULL ? 0 : vlog->current->number;
}

bool inv_vlog_read_only(const struct inv_vlog *vlog) { return vlog->broken; }

enum inv_status inv_vlog_drop(struct inv_vlog *vlog, uint32_t file,
                              struct inv_err *err) {
    if (file == inv_vlog_current(vlog))
        return inv_fail(err, INV_CONFLICT, "vector log %u is being written to",
                        file);
    for (size_t i = 0; i < vlog->set->count; i++)
        if (vlog->set->files[i]->number == file)
            atomic_store(&vlog->set->files[i]->doomed, true);
    return change_set(vlog, NULL, file, err);
}

static enum inv_status roll(struct inv_vlog *vlog, uint64_t need,
                            struct inv_err *err) {
    struct inv_vlog_file *file = NULL;
    size_t room = vlog->roll_bytes;
    if (need + INV_VLOG_HEADER > room)
        room = (size_t)need + INV_VLOG_HEADER;
    enum inv_status status = INV_OK;
    if (vlog->dirty)
        status = inv_vlog_sync(vlog, err);
    if (status == INV_OK)
        status = file_create(vlog->dir, vlog->next_number++, room, &file, err);
    if (status != INV_OK)
        return status;
    inv_ref_get(file);
    status = change_set(vlog, file, 0, err);
    if (status != INV_OK)
        atomic_store(&file->doomed, true);
    inv_ref_put(file);
    if (status != INV_OK)
        return status;
    vlog->current = file;
    vlog->dir_dirty = true;
    return INV_OK;
}

static size_t padded(size_t bytes) {
    return (bytes + INV_VLOG_ALIGN - 1) / INV_VLOG_ALIGN * INV_VLOG_ALIGN;
}

static bool reserve_scratch(struct inv_vlog *vlog, size_t bytes) {
    if (bytes <= vlog->scratch_cap)
        return true;
    char *more = realloc(vlog->scratch, bytes);
    if (more == NULL)
        return false;
    vlog->scratch = more;
    vlog->scratch_cap = bytes;
    return true;
}

static void put_data(const struct inv_codes *codes, size_t bytes, char *out) {
    if (codes->dtype != INV_I8) {
        memcpy(out, codes->data, bytes);
        return;
    }
    size_t values = codes->rows * codes->dim;
    memcpy(out, codes->data, values);
    memcpy(out + bytes - codes->rows * 2, codes->scales, codes->rows * 2);
}

enum inv_status inv_vlog_append(struct inv_vlog *vlog, uint64_t vseq,
                                uint64_t space, const char *id, size_t id_len,
                                const struct inv_codes *codes,
                                struct inv_place *place, struct inv_err *err) {
    if (vlog->broken)
        return inv_fail(err, INV_READ_ONLY,
                        "a disk error made this collection read-only until "
                        "the daemon is restarted");
    size_t data = inv_codes_bytes(codes->dtype, codes->rows, codes->dim);
    size_t head = padded(INV_VLOG_RECORD + id_len);
    size_t length = head + padded(data);
    if (!reserve_scratch(vlog, length))
        return inv_fail(err, INV_MEMORY,
                        "out of memory for a record of %zu "
                        "bytes",
                        length);
    enum inv_status status = INV_OK;
    if (vlog->current == NULL ||
        atomic_load(&vlog->current->size) + length > vlog->current->map_bytes)
        status = roll(vlog, length, err);
    if (status != INV_OK)
        return status;

    struct inv_record_header header = {
        .magic = INV_RECORD_MAGIC,
        .vseq = vseq,
        .space = space,
        .rows = (uint32_t)codes->rows,
        .dim = (uint32_t)codes->dim,
        .dtype = (uint8_t)codes->dtype,
        .id_len = (uint16_t)id_len,
        .data_bytes = (uint32_t)data,
        .length = length,
    };
    char *out = vlog->scratch;
    memset(out, 0, head);
    memset(out + length - INV_VLOG_ALIGN, 0, INV_VLOG_ALIGN);
    memcpy(out, &header, sizeof header);
    memcpy(out + INV_VLOG_RECORD, id, id_len);
    put_data(codes, data, out + head);
    uint32_t crc = inv_crc32c(0, out + 8, length - 8);
    memcpy(out + 4, &crc, sizeof crc);

    struct inv_vlog_file *file = vlog->current;
    uint64_t at = atomic_load(&file->size);
    status = inv_file_pwrite_all(file->fd, out, length, at, err);
    if (status != INV_OK)
        return status;
    vlog->dirty = true;
    atomic_store(&file->size, at + length);
    *place = (struct inv_place){.file = file->number,
                                .rows = (uint32_t)codes->rows,
                                .offset = at,
                                .length = length};
    return INV_OK;
}

enum inv_status inv_vlog_sync(struct inv_vlog *vlog, struct inv_err *err) {
    if (vlog->broken)
        return inv_fail(err, INV_READ_ONLY,
                        "a disk error made this collection read-only until "
                        "the daemon is restarted");
    if (!vlog->dirty)
        return INV_OK;
    enum inv_status status = INV_OK;
    if (fdatasync(vlog->current->fd) != 0)
        status =
            inv_fail_errno(err, errno, "cannot sync %s", vlog->current->path);
    if (status == INV_OK && vlog->dir_dirty)
        status = inv_file_sync_dir(vlog->dir, err);
    if (status != INV_OK) {
        vlog->broken = true;
        return status;
    }
    vlog->dirty = false;
    vlog->dir_dirty = false;
    return INV_OK;
}
