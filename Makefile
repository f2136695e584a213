# Shortcuts; the build itself is Meson's.
.PHONY: all check medium demo install format clean

all:
	./scripts/check build
check:
	./scripts/check
medium:
	./scripts/check medium
demo:
	./scripts/demo
install: all
	meson install -C build
format:
	./scripts/format
clean:
	rm -rf build build-*
