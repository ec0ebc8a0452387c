# What is installed where, and Debian's packages of it: `cpack --config build/release/CPackConfig.cmake` makes
# nel-slurmd_VERSION_ARCH.deb and nelctl_VERSION_all.deb (systemd/package does so, and looks whether lintian agrees).

set(doc share/doc/nel-slurmd)
set(made ${CMAKE_CURRENT_BINARY_DIR}/package)
set(CPACK_PACKAGE_CONTACT "nel-slurmd maintainers <maintainers@nel-slurmd.example>" CACHE STRING
    "Maintainer of the packages: NAME <ADDRESS>")

# gzip without time and name, as Debian wants manual pages and changelogs.
find_program(GZIP gzip REQUIRED)
function(nel_gzip source target)
  get_filename_component(folder ${target} DIRECTORY)
  file(MAKE_DIRECTORY ${folder})
  add_custom_command(OUTPUT ${target} COMMAND ${GZIP} -9nc ${source} > ${target} DEPENDS ${source} VERBATIM)
  set_property(GLOBAL APPEND PROPERTY NEL_GZIPPED ${target})
endfunction()

# --- the daemon ---

install(TARGETS nel-slurmd RUNTIME DESTINATION sbin COMPONENT daemon)
install(FILES systemd/nel-slurmd.service systemd/nel-slurmd.socket DESTINATION lib/systemd/system COMPONENT daemon)
install(FILES systemd/nel-slurmd.sysusers DESTINATION lib/sysusers.d RENAME nel-slurmd.conf COMPONENT daemon)
install(FILES systemd/nel-slurmd.tmpfiles DESTINATION lib/tmpfiles.d RENAME nel-slurmd.conf COMPONENT daemon)
install(FILES examples/completion/nel-slurmd.bash DESTINATION share/bash-completion/completions RENAME nel-slurmd
        COMPONENT daemon)
install(FILES README.md CHANGELOG.md LICENSE openapi.yaml DESTINATION ${doc} COMPONENT daemon)
install(FILES api/README.md DESTINATION ${doc} RENAME API.md COMPONENT daemon)
install(FILES systemd/README.md DESTINATION ${doc} RENAME ADMIN.md COMPONENT daemon)
# Not the programs that are installed or want the source beside them.
install(DIRECTORY examples/ DESTINATION ${doc}/examples COMPONENT daemon
        PATTERN nelctl EXCLUDE PATTERN "quickstart*" EXCLUDE PATTERN completion EXCLUDE PATTERN __pycache__ EXCLUDE
        PATTERN "*.egg-info" EXCLUDE PATTERN build EXCLUDE)
foreach(page nel-slurmd.8 nel-slurmd.yaml.5)
  nel_gzip(${PROJECT_SOURCE_DIR}/daemon/man/${page} ${made}/man/${page}.gz)
  string(REGEX MATCH "[0-9]$" section ${page})
  install(FILES ${made}/man/${page}.gz DESTINATION share/man/man${section} COMPONENT daemon)
endforeach()
# An administrator's file is not overwritten; a package is made in an empty place, where it is always new.
install(CODE "
set(settings \"/etc/nel-slurmd/nel-slurmd.yaml\")
if(NOT EXISTS \"\$ENV{DESTDIR}\${settings}\")
  file(INSTALL FILES \"${PROJECT_SOURCE_DIR}/systemd/nel-slurmd.yaml\" DESTINATION \"/etc/nel-slurmd\")
endif()" COMPONENT daemon)

# --- nelctl ---

install(PROGRAMS examples/nelctl DESTINATION bin COMPONENT nelctl)
install(FILES examples/completion/nelctl.bash DESTINATION share/bash-completion/completions RENAME nelctl COMPONENT nelctl)
nel_gzip(${PROJECT_SOURCE_DIR}/daemon/man/nelctl.1 ${made}/man/nelctl.1.gz)
install(FILES ${made}/man/nelctl.1.gz DESTINATION share/man/man1 COMPONENT nelctl)

# --- Debian's packages ---

string(TIMESTAMP NEL_PACKAGE_DATE "%a, %d %b %Y %H:%M:%S +0000" UTC)
foreach(NEL_PACKAGE nel-slurmd nelctl)
  string(REPLACE nel-slurmd daemon component ${NEL_PACKAGE})
  configure_file(systemd/deb/changelog.in ${made}/${NEL_PACKAGE}/changelog @ONLY)
  nel_gzip(${made}/${NEL_PACKAGE}/changelog ${made}/${NEL_PACKAGE}/changelog.gz)
  install(FILES ${made}/${NEL_PACKAGE}/changelog.gz systemd/deb/copyright DESTINATION share/doc/${NEL_PACKAGE}
          COMPONENT ${component})
  if(EXISTS ${PROJECT_SOURCE_DIR}/systemd/deb/${NEL_PACKAGE}.lintian-overrides)
    install(FILES systemd/deb/${NEL_PACKAGE}.lintian-overrides DESTINATION share/lintian/overrides RENAME ${NEL_PACKAGE}
            COMPONENT ${component})
  endif()
endforeach()
get_property(gzipped GLOBAL PROPERTY NEL_GZIPPED)
add_custom_target(nel_gzipped ALL DEPENDS ${gzipped})

file(GLOB migrations CONFIGURE_DEPENDS db/migrations/*.sql)
list(LENGTH migrations NEL_SCHEMA)
configure_file(systemd/deb/preinst.in ${made}/preinst @ONLY FILE_PERMISSIONS OWNER_READ OWNER_WRITE OWNER_EXECUTE
               GROUP_READ GROUP_EXECUTE WORLD_READ WORLD_EXECUTE)

set(CPACK_GENERATOR DEB)
set(CPACK_PACKAGE_DIRECTORY ${CMAKE_CURRENT_BINARY_DIR})
set(CPACK_SET_DESTDIR ON)
set(CPACK_INSTALL_PREFIX /usr)
set(CPACK_STRIP_FILES ON)
set(CPACK_COMPONENTS_ALL daemon nelctl)
set(CPACK_COMPONENTS_GROUPING IGNORE)
set(CPACK_DEB_COMPONENT_INSTALL ON)
set(CPACK_DEBIAN_FILE_NAME DEB-DEFAULT)
set(CPACK_DEBIAN_PACKAGE_CONTROL_STRICT_PERMISSION ON)
set(CPACK_DEBIAN_COMPRESSION_TYPE xz)

set(CPACK_DEBIAN_DAEMON_PACKAGE_NAME nel-slurmd)
set(CPACK_DEBIAN_DAEMON_PACKAGE_SECTION net)
set(CPACK_DEBIAN_DAEMON_PACKAGE_SHLIBDEPS ON)
set(CPACK_DEBIAN_DAEMON_PACKAGE_DEPENDS "systemd | systemd-sysusers, systemd | systemd-tmpfiles")
set(CPACK_DEBIAN_DAEMON_PACKAGE_RECOMMENDS "ca-certificates, openssh-client")
set(CPACK_DEBIAN_DAEMON_PACKAGE_SUGGESTS "nelctl, nginx")
set(CPACK_DEBIAN_DAEMON_PACKAGE_CONTROL_EXTRA
    "${made}/preinst;${PROJECT_SOURCE_DIR}/systemd/deb/postinst;${PROJECT_SOURCE_DIR}/systemd/deb/prerm;${PROJECT_SOURCE_DIR}/systemd/deb/postrm;${PROJECT_SOURCE_DIR}/systemd/deb/conffiles")
set(CPACK_COMPONENT_DAEMON_DESCRIPTION "runs language-model evaluations on Slurm clusters
A daemon with a REST API: it takes evaluation configs, composes and checks
them, submits one Slurm job per task over SSH, follows the jobs, resubmits what
a time-out, a preemption or a dead node ended, within the walltime budget, and
serves states, scores, logs and artifacts.")

set(CPACK_DEBIAN_NELCTL_PACKAGE_NAME nelctl)
set(CPACK_DEBIAN_NELCTL_PACKAGE_SECTION net)
set(CPACK_DEBIAN_NELCTL_PACKAGE_ARCHITECTURE all)
set(CPACK_DEBIAN_NELCTL_PACKAGE_DEPENDS "curl, jq")
set(CPACK_DEBIAN_NELCTL_PACKAGE_RECOMMENDS "bsdextrautils")
set(CPACK_COMPONENT_NELCTL_DESCRIPTION "evaluations of nel-slurmd from a terminal or a script
Submits evaluation configs to a nel-slurmd, follows them, and prints their
scores, logs and artifacts.")
include(CPack)
