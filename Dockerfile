# CI and releases build from these by digest: .github/base-images.
ARG NODE_IMAGE=node:24-bookworm-slim
ARG RUNTIME_IMAGE=gcr.io/distroless/nodejs24-debian12:nonroot


# Everything needed to build, and to run from sources.
FROM ${NODE_IMAGE} AS dependencies
WORKDIR /app
COPY package.json package-lock.json ./
RUN --mount=type=cache,target=/root/.npm npm ci --ignore-scripts --no-audit --no-fund


# Runs the service from its sources, restarted on a change. The files belong to the user that runs it, so that they can
# be overwritten meanwhile. The watcher sees a replaced file only through its folder.
FROM dependencies AS dev
COPY --chown=1000:1000 tsconfig.json ./
COPY --chown=1000:1000 src src
COPY --chown=1000:1000 docs/openapi.yaml docs/
ENV NODE_ENV=development
USER 1000:1000
EXPOSE 3000
ENTRYPOINT ["node"]
CMD ["node_modules/tsx/dist/cli.mjs", "watch", "--clear-screen=false", "--include=src", "src/main.ts"]


FROM dependencies AS build
COPY tsconfig.json ./
COPY src src
COPY docs/openapi.yaml docs/
COPY scripts/write-openapi.mjs scripts/
RUN node_modules/.bin/tsc \
  && node scripts/write-openapi.mjs dist \
  && printf '#!/nodejs/bin/node\nrequire("/app/dist/bin/order-service.js");\n' > order-service \
  && chmod 755 order-service


FROM ${NODE_IMAGE} AS production-dependencies
WORKDIR /app
COPY package.json package-lock.json ./
# Removes what nothing loads: an unused entry of a package needs core-js, and people and compilers read the rest.
# Licences stay.
RUN --mount=type=cache,target=/root/.npm npm ci --omit=dev --ignore-scripts --no-audit --no-fund \
  && rm -r node_modules/core-js \
  && find node_modules -type f -regex '.*\.\(map\|[cm]?ts\|md\)' ! -iname 'licen*' -delete


# No shell and no package manager; nothing is written at run time, so the root file system may be read-only.
FROM ${RUNTIME_IMAGE} AS production
WORKDIR /app
COPY --from=production-dependencies /app/package.json ./
COPY --from=production-dependencies /app/node_modules node_modules
COPY --from=build /app/dist dist
# On PATH, for `kubectl exec`. There is no shell: the file names Node itself.
COPY --from=build /app/order-service /usr/local/bin/order-service
ENV NODE_ENV=production
# By number: Kubernetes cannot verify from a name that it is not root.
USER 65532:65532
EXPOSE 3000
CMD ["dist/main.js"]

ARG VERSION=1.0.0
ARG REVISION=
ARG CREATED=
LABEL org.opencontainers.image.title="order-service" \
      org.opencontainers.image.description="The Order Service of a ticket marketplace" \
      org.opencontainers.image.licenses="MIT" \
      org.opencontainers.image.version="$VERSION" \
      org.opencontainers.image.revision="$REVISION" \
      org.opencontainers.image.created="$CREATED"
