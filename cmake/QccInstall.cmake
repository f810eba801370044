# What `cmake --install` installs, and the CMake package qcc: for other projects, in the build folder as in the installed one.
include(GNUInstallDirs)
include(CMakePackageConfigHelpers)

set(QCC_PACKAGE_DIR ${CMAKE_INSTALL_LIBDIR}/cmake/qcc)
set(QCC_PYTHON_INSTALL_DIR ${CMAKE_INSTALL_DATADIR}/qcc/python)

install(TARGETS qcc-run qcc-inspect ptxemu qcc_shared qcc_static)
install(TARGETS qcc_emulated_cuda LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR})
if(QCC_BUILD_COMPILER)
  set_target_properties(qcc PROPERTIES INSTALL_RPATH ${LLVM_LIBRARY_DIRS})
  install(TARGETS qcc)
endif()
install(FILES
  ${PROJECT_SOURCE_DIR}/include/qcc/Runtime/Abi.h
  ${PROJECT_SOURCE_DIR}/include/qcc/Runtime/qcc.h
  ${PROJECT_SOURCE_DIR}/include/qcc/Runtime/TypedModel.h
  DESTINATION ${CMAKE_INSTALL_INCLUDEDIR}/qcc/Runtime)
install(DIRECTORY ${PROJECT_SOURCE_DIR}/python/qcc DESTINATION ${QCC_PYTHON_INSTALL_DIR} FILES_MATCHING PATTERN *.py)
file(CONFIGURE OUTPUT ${PROJECT_BINARY_DIR}/install/qcc-eval @ONLY CONTENT [[#!/bin/sh
# The Python package's evaluation.
prefix=$(dirname "$(dirname "$(readlink -f "$0")")")
PYTHONPATH="$prefix/@QCC_PYTHON_INSTALL_DIR@${PYTHONPATH:+:$PYTHONPATH}" QCC_DIR="${QCC_DIR:-$prefix}" exec python3 -m qcc.eval "$@"
]])
install(PROGRAMS ${PROJECT_BINARY_DIR}/install/qcc-eval DESTINATION ${CMAKE_INSTALL_BINDIR})

# The build folder is laid out as an installed one, but for the headers.
foreach(tree build install)
  set(bin ${CMAKE_INSTALL_BINDIR})
  set(lib ${CMAKE_INSTALL_LIBDIR})
  set(include ${CMAKE_INSTALL_INCLUDEDIR})
  set(package ${PROJECT_BINARY_DIR}/install)
  set(prefix)
  if(tree STREQUAL "build")
    set(bin bin)
    set(lib lib)
    set(include ${PROJECT_SOURCE_DIR}/include)
    set(package ${PROJECT_BINARY_DIR}/lib/cmake/qcc)
    set(prefix INSTALL_PREFIX ${PROJECT_BINARY_DIR})
  endif()
  configure_package_config_file(${CMAKE_CURRENT_LIST_DIR}/package/qccConfig.cmake.in ${package}/qccConfig.cmake
    INSTALL_DESTINATION ${QCC_PACKAGE_DIR} ${prefix} PATH_VARS bin lib include NO_CHECK_REQUIRED_COMPONENTS_MACRO)
  write_basic_package_version_file(${package}/qccConfigVersion.cmake COMPATIBILITY SameMinorVersion)
  foreach(file QccAddModel.cmake QccModelHeader.cmake QccModelHeader.h.in)
    configure_file(${CMAKE_CURRENT_LIST_DIR}/package/${file} ${package}/${file} COPYONLY)
  endforeach()
endforeach()
install(DIRECTORY ${PROJECT_BINARY_DIR}/install/ DESTINATION ${QCC_PACKAGE_DIR} FILES_MATCHING PATTERN *.cmake PATTERN *.h.in)
