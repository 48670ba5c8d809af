# Stands for the file of this name that renv writes, and does to the file system what it does:
# a library of the project's own whose packages are links into a cache of the user, and a library
# of links to R's own packages, made anew in the cache folder, so that no other is seen.
local({
  version <- paste0("R-", getRversion()[1, 1:2])
  library <- file.path("renv", "library", version, R.version$platform)
  caches <- Sys.getenv("XDG_CACHE_HOME", file.path(Sys.getenv("HOME"), ".cache"))
  sandbox <- file.path(caches, "R", "renv", "sandbox", version, R.version$platform, "9a444a72")
  dir.create(sandbox, recursive = TRUE, showWarnings = FALSE)
  for (package in dir(.Library, full.names = TRUE)) {
    if (file.exists(file.path(package, "DESCRIPTION"))) {
      file.symlink(package, file.path(sandbox, basename(package)))
    }
  }
  base <- .BaseNamespaceEnv
  unlockBinding(".Library", base)
  assign(".Library", sandbox, envir = base)
  unlockBinding(".Library.site", base)
  assign(".Library.site", NULL, envir = base)
  .libPaths(normalizePath(library), include.site = FALSE)
  lock <- readLines("renv.lock")
  stopifnot(any(grepl("lavender", lock)))
})
