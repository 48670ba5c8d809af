gini <- function(x) {
  x <- sort(as.double(na.omit(x)))
  n <- length(x)
  sum <- .C("weighted", x, n, sum = 0, PACKAGE = "lavender")$sum
  signif(2 * sum / (n * base::sum(x)) - (n + 1) / n, 8)
}

flowers <- function() {
  readLines(system.file("extdata", "flowers.txt", package = "lavender"))
}
