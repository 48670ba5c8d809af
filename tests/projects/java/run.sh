#!/bin/sh -e
# Compiled, run from classes, packed into a jar with an entry point, run from the jar.
javac -d build src/ants/Survey.java
java -cp build ants.Survey
jar --create --file build/survey.jar --date 2020-01-01T00:00:00Z --main-class ants.Survey -C build ants
mv results/diversity.csv results/from-classes.csv
java -jar build/survey.jar
cmp results/from-classes.csv results/diversity.csv
rm -r build
