# Step two, R: the trend of the smoothed counts.
weekly <- read.csv("weekly.csv")
fit <- lm(mean ~ day, data = weekly)
dir.create("results", showWarnings = FALSE)
write.csv(coef(summary(fit)), "results/trend.csv")
pdf("results/trend.pdf", width = 5, height = 3.5)
plot(weekly$day, weekly$mean, type = "l", xlab = "day", ylab = "seven-day mean")
abline(fit, lty = 2)
invisible(dev.off())
