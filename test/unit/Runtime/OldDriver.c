/* What a driver of another time looks like: it says its version and has little else. */
#ifndef DRIVER_VERSION
#define DRIVER_VERSION 11040
#endif

#define EXPORT __attribute__((visibility("default")))

EXPORT int cuInit(unsigned flags) { return 0; }

EXPORT int cuDriverGetVersion(int *version) {
  *version = DRIVER_VERSION;
  return 0;
}
