# Visits by garden: a package that only this project's own library has.
library(lavender)
stopifnot(length(.libPaths()) == 2, !requireNamespace("jsonlite", quietly = TRUE))
table <- read.csv("data/bees.csv")
dir.create("results", showWarnings = FALSE)
evenness <- vapply(split(table$visits, table$garden), gini, 0)
write.csv(data.frame(garden = names(evenness), gini = evenness), "results/gini.csv", row.names = FALSE)
writeLines(flowers(), "results/flowers.txt")
