/* Runs a fuzz target over files and folders of files: how the corpus is replayed without libFuzzer. */
#include <dirent.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int run_file(const char *path)
{
    FILE *f = fopen(path, "rb");
    if (!f)
        return -1;
    fseek(f, 0, SEEK_END);
    const long size = ftell(f);
    rewind(f);
    uint8_t *data = size < 0 ? NULL : malloc((size_t)size + 1);
    const size_t n = data ? fread(data, 1, (size_t)size, f) : 0;
    fclose(f);
    if (data)
        LLVMFuzzerTestOneInput(data, n);
    free(data);
    return data ? 1 : -1;
}

static int run_folder(DIR *folder, const char *path)
{
    int runs = 0;
    for (struct dirent *entry; (entry = readdir(folder));) {
        char name[4096];
        if (entry->d_name[0] == '.')
            continue;
        snprintf(name, sizeof name, "%s/%s", path, entry->d_name);
        runs += run_file(name) > 0;
    }
    return runs;
}

int main(int argc, char **argv)
{
    int runs = 0;
    for (int i = 1; i < argc; i++) {
        DIR *folder = opendir(argv[i]);
        if (folder) {
            runs += run_folder(folder, argv[i]);
            closedir(folder);
        } else {
            const int ran = run_file(argv[i]);
            if (ran < 0)
                return fprintf(stderr, "%s: cannot be read\n", argv[i]), 1;
            runs += ran;
        }
    }
    printf("%d inputs\n", runs);
    return runs == 0;
}
