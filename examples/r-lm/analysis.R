# Timber volume from girth and height: a linear model, its table and a figure (base R only).
trees <- read.csv("data/trees.csv")
fit <- lm(log(volume) ~ log(girth) + log(height), data = trees)
dir.create("results", showWarnings = FALSE)
write.csv(round(coef(summary(fit)), 8), "results/coefficients.csv")
set.seed(11)
draws <- replicate(200, coef(lm(log(volume) ~ log(girth) + log(height),
                                data = trees[sample(nrow(trees), replace = TRUE), ]))[2])
writeLines(format(quantile(draws, c(.025, .5, .975)), digits = 10), "results/girth.txt")
pdf("results/fit.pdf", width = 5, height = 4)
plot(fitted(fit), log(trees$volume), xlab = "fitted", ylab = "log volume", pch = 19)
abline(0, 1)
invisible(dev.off())
