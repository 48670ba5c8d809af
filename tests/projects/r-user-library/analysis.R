# A mixed table through a package of one's own library (lavender) and one of Debian's (jsonlite).
library(lavender)
table <- read.csv("data/bees.csv")
fit <- glm(visits ~ temperature + garden, family = poisson, data = table)
dir.create("results", showWarnings = FALSE)
write.csv(signif(coef(summary(fit)), 8), "results/coefficients.csv")
said <- list(deviance = signif(deviance(fit), 8), flowers = flowers(), gini = gini(table$visits))
writeLines(jsonlite::toJSON(said, auto_unbox = TRUE, pretty = TRUE), "results/summary.json")
