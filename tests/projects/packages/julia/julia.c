/* Stands for Julia, which no package index of this test offers. It looks for files the way Julia
   does: its library beside the program that its link leads to (dlopen), the project by
   JULIA_PROJECT or --project, packages, their cached code and artifacts in the depot, a folder by
   its listing. Its only sentence: `using PACKAGE` in a script, then the sum of data/values.txt
   times the number that the package's source holds. */
#include <dirent.h>
#include <dlfcn.h>
#include <libgen.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static FILE *need(const char *path)
{
    FILE *stream = fopen(path, "r");
    if (!stream) {
        perror(path);
        exit(1);
    }
    return stream;
}

/* The one folder in another: packages lie below a hash. */
static void inside(char *path)
{
    DIR *folder = opendir(path);
    struct dirent *entry;
    while (folder && (entry = readdir(folder)))
        if (entry->d_name[0] != '.') {
            strcat(strcat(path, "/"), entry->d_name);
            closedir(folder);
            return;
        }
    fprintf(stderr, "nothing in %s\n", path);
    exit(1);
}

int main(int count, char **words)
{
    char self[PATH_MAX] = "", path[2 * PATH_MAX], name[64] = "", depot[PATH_MAX];
    if (readlink("/proc/self/exe", self, sizeof self - 1) < 0 || count != 2)
        return 2;
    snprintf(path, sizeof path, "%s/../lib/julia/libsys.so", dirname(self));
    void *library = dlopen(path, RTLD_NOW);
    double (*times)(double, double) = library ? (double (*)(double, double))dlsym(library, "times") : 0;
    if (!times) {
        fprintf(stderr, "%s\n", dlerror());
        return 1;
    }
    snprintf(depot, sizeof depot, "%s", getenv("JULIA_DEPOT_PATH") ? getenv("JULIA_DEPOT_PATH") : "");
    if (!*depot)
        snprintf(depot, sizeof depot, "%s/.julia", getenv("HOME"));
    fclose(need("Project.toml"));
    fclose(need("Manifest.toml"));
    FILE *script = need(words[1]);
    while (fscanf(script, "using %63s", name) != 1)
        if (fscanf(script, "%*[^\n]") == EOF || fgetc(script) == EOF)
            return 1;
    fclose(script);
    snprintf(path, sizeof path, "%s/packages/%s", depot, name);
    inside(path);
    sprintf(path + strlen(path), "/src/%s.jl", name);
    double factor = 0, value, sum = 0;
    FILE *source = need(path);
    while (fscanf(source, "factor = %lf", &factor) != 1)
        if (fscanf(source, "%*[^\n]") == EOF || fgetc(source) == EOF)
            return 1;
    fclose(source);
    snprintf(path, sizeof path, "%s/compiled/v1.10/%s", depot, name);
    inside(path);
    fclose(need(path));
    snprintf(path, sizeof path, "%s/artifacts", depot);
    inside(path);
    strcat(path, "/share/table.txt");
    fclose(need(path));
    FILE *data = need("data/values.txt");
    while (fscanf(data, "%lf", &value) == 1)
        sum += value;
    FILE *out = fopen("sum.txt", "w");
    fprintf(out, "%.3f\n", times(sum, factor));
    return fclose(out);
}
