using Lilac
write("sum.txt", string(Lilac.factor * sum(readdlm("data/values.txt"))))
