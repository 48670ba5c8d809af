bins <- read.table("bins.txt", col.names = c("bin", "n"))
mid <- rep(bins$bin + 0.5, bins$n)
shape <- mean(mid)^2 / var(mid)
write.csv(data.frame(shape = signif(shape, 8), rate = signif(shape / mean(mid), 8)), "fit.csv",
          row.names = FALSE)
