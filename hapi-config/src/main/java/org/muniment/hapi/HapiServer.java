package org.muniment.hapi;

import ca.uhn.fhir.batch2.jobs.config.Batch2JobsConfig;
import ca.uhn.fhir.context.FhirContext;
import ca.uhn.fhir.context.support.IValidationSupport;
import ca.uhn.fhir.interceptor.api.Hook;
import ca.uhn.fhir.interceptor.api.IInterceptorService;
import ca.uhn.fhir.interceptor.api.Interceptor;
import ca.uhn.fhir.interceptor.api.Pointcut;
import ca.uhn.fhir.interceptor.model.RequestPartitionId;
import ca.uhn.fhir.jpa.api.config.JpaStorageSettings;
import ca.uhn.fhir.jpa.api.config.ThreadPoolFactoryConfig;
import ca.uhn.fhir.jpa.api.dao.IFhirSystemDao;
import ca.uhn.fhir.jpa.api.model.ResourceVersionConflictResolutionStrategy;
import ca.uhn.fhir.jpa.batch2.JpaBatch2Config;
import ca.uhn.fhir.jpa.config.HapiJpaConfig;
import ca.uhn.fhir.jpa.config.r4.JpaR4Config;
import ca.uhn.fhir.jpa.config.util.HapiEntityManagerFactoryUtil;
import ca.uhn.fhir.jpa.entity.PartitionEntity;
import ca.uhn.fhir.jpa.interceptor.UserRequestRetryVersionConflictsInterceptor;
import ca.uhn.fhir.jpa.model.config.PartitionSettings;
import ca.uhn.fhir.jpa.model.config.SubscriptionSettings;
import ca.uhn.fhir.jpa.partition.IPartitionLookupSvc;
import ca.uhn.fhir.jpa.provider.JpaCapabilityStatementProvider;
import ca.uhn.fhir.jpa.provider.JpaSystemProvider;
import ca.uhn.fhir.jpa.search.DatabaseBackedPagingProvider;
import ca.uhn.fhir.jpa.subscription.channel.config.SubscriptionChannelConfig;
import ca.uhn.fhir.rest.api.RestOperationTypeEnum;
import ca.uhn.fhir.rest.api.server.RequestDetails;
import ca.uhn.fhir.rest.api.server.SystemRequestDetails;
import ca.uhn.fhir.rest.server.RestfulServer;
import ca.uhn.fhir.rest.server.exceptions.InvalidRequestException;
import ca.uhn.fhir.rest.server.exceptions.ResourceNotFoundException;
import ca.uhn.fhir.rest.server.exceptions.ResourceVersionConflictException;
import ca.uhn.fhir.rest.server.interceptor.partition.RequestTenantPartitionInterceptor;
import ca.uhn.fhir.rest.server.provider.ResourceProviderFactory;
import ca.uhn.fhir.rest.server.tenant.UrlBaseTenantIdentificationStrategy;
import ca.uhn.fhir.rest.server.util.ISearchParamRegistry;
import ca.uhn.fhir.util.HapiExtensions;
import jakarta.persistence.EntityManagerFactory;
import org.hl7.fhir.instance.model.api.IBaseHasExtensions;
import org.hl7.fhir.instance.model.api.IBaseResource;
import org.hl7.fhir.r4.model.Base;
import org.hl7.fhir.r4.model.Bundle;
import org.hl7.fhir.r4.model.Meta;
import org.springframework.beans.factory.annotation.Value;
import org.springframework.beans.factory.config.ConfigurableListableBeanFactory;
import org.springframework.boot.SpringApplication;
import org.springframework.boot.autoconfigure.ImportAutoConfiguration;
import org.springframework.boot.autoconfigure.context.PropertyPlaceholderAutoConfiguration;
import org.springframework.boot.autoconfigure.jdbc.DataSourceAutoConfiguration;
import org.springframework.boot.autoconfigure.web.embedded.EmbeddedWebServerFactoryCustomizerAutoConfiguration;
import org.springframework.boot.autoconfigure.web.servlet.ServletWebServerFactoryAutoConfiguration;
import org.springframework.boot.context.properties.ConfigurationProperties;
import org.springframework.boot.context.properties.bind.Bindable;
import org.springframework.boot.context.properties.bind.Binder;
import org.springframework.boot.web.servlet.ServletRegistrationBean;
import org.springframework.context.annotation.Bean;
import org.springframework.context.annotation.Configuration;
import org.springframework.context.annotation.Import;
import org.springframework.core.env.Environment;
import org.springframework.orm.jpa.JpaTransactionManager;
import org.springframework.orm.jpa.LocalContainerEntityManagerFactoryBean;

import javax.sql.DataSource;
import java.util.HashSet;
import java.util.List;
import java.util.Set;

/**
 * A HAPI FHIR R4 JPA server: every R4 resource type at /fhir, no subscriptions delivered, no full-text
 * search, no MDM, no request validation. All settings come from application.yaml or the environment.
 *
 * Spring Boot's auto-configuration as a whole is not enabled. HAPI's jar brings Thymeleaf, WebSocket, Elasticsearch
 * and Lucene along, and Boot would configure each of them. The four below are all that is needed.
 */
@Configuration
@ImportAutoConfiguration({
	PropertyPlaceholderAutoConfiguration.class, DataSourceAutoConfiguration.class,
	EmbeddedWebServerFactoryCustomizerAutoConfiguration.class, ServletWebServerFactoryAutoConfiguration.class
})
@Import({
	HapiJpaConfig.class, JpaR4Config.class, ThreadPoolFactoryConfig.class,
	SubscriptionChannelConfig.class, JpaBatch2Config.class, Batch2JobsConfig.class
})
public class HapiServer {

	public static void main(String[] args) {
		SpringApplication.run(HapiServer.class, args);
	}

	/**
	 * Every setter of JpaStorageSettings is reachable as hapi.storage.* in kebab case. Reuse of cached search results
	 * is switched off here because an empty YAML value leaves HAPI's 60 s in force; YAML may switch it on again.
	 */
	@Bean
	@ConfigurationProperties("hapi.storage")
	public JpaStorageSettings storageSettings() {
		JpaStorageSettings settings = new JpaStorageSettings();
		settings.setReuseCachedSearchResultsForMillis(null);
		return settings;
	}

	/**
	 * With hapi.partitions each organisation is a tenant, /fhir/ORG, with a partition of its own: ids may be the same in
	 * two of them, and no reference leads from one into another.
	 */
	@Bean
	public PartitionSettings partitionSettings(@Value("${hapi.partitions:false}") boolean partitions) {
		return new PartitionSettings().setPartitioningEnabled(partitions).setDatabasePartitionMode(partitions);
	}

	/** Unused, since no subscription processor is imported, but HAPI's own beans ask for it. */
	@Bean
	public SubscriptionSettings subscriptionSettings() {
		return new SubscriptionSettings();
	}

	/** The bean's name is required: HAPI's repositories look for "entityManagerFactory" and "transactionManager". */
	@Bean
	public LocalContainerEntityManagerFactoryBean entityManagerFactory(
			DataSource dataSource, ConfigurableListableBeanFactory beans, FhirContext fhir,
			JpaStorageSettings storage, Environment environment) {
		LocalContainerEntityManagerFactoryBean factory =
				HapiEntityManagerFactoryUtil.newEntityManagerFactory(beans, fhir, storage);
		factory.setPersistenceUnitName("HAPI_PU");
		factory.setDataSource(dataSource);
		factory.getJpaPropertyMap().putAll(Binder.get(environment)
				.bind("hapi.jpa", Bindable.mapOf(String.class, String.class)).get());
		return factory;
	}

	@Bean
	public JpaTransactionManager transactionManager(EntityManagerFactory entityManagerFactory) {
		return new JpaTransactionManager(entityManagerFactory);
	}

	@Bean
	public RestfulServer restfulServer(
			FhirContext fhir, IFhirSystemDao<Bundle, Meta> systemDao, ResourceProviderFactory resources,
			JpaSystemProvider<Bundle, Meta> system, JpaStorageSettings storage, ISearchParamRegistry params,
			IValidationSupport validation, IInterceptorService interceptors, DatabaseBackedPagingProvider paging,
			PartitionSettings partitions, IPartitionLookupSvc partitionLookup,
			@Value("${hapi.keep-reference-versions-at:}") String[] versionedPaths,
			@Value("${hapi.retry-version-conflicts:false}") boolean retryConflicts,
			@Value("${hapi.placeholders-stand-back:false}") boolean placeholdersStandBack,
			@Value("${hapi.page-size-max:50}") int pageSizeMax) {
		// HAPI removes "/_history/n" from references before storing, except at AuditEvent.entity.what.
		if (versionedPaths.length > 0) {
			Set<String> paths = new HashSet<>(fhir.getParserOptions().getDontStripVersionsFromReferencesAtPaths());
			paths.addAll(List.of(versionedPaths));
			fhir.getParserOptions().setDontStripVersionsFromReferencesAtPaths(paths);
		}
		if (retryConflicts) {
			interceptors.registerInterceptor(new ConflictsTryAgain());
		}
		if (placeholdersStandBack) {
			interceptors.registerInterceptor(new PlaceholdersStandBack());
		}
		paging.setMaximumPageSize(pageSizeMax);
		RestfulServer server = new RestfulServer(fhir);
		server.setInterceptorService(interceptors);
		server.registerProviders(resources.createProviders());
		server.registerProvider(system);
		server.setServerConformanceProvider(
				new JpaCapabilityStatementProvider(server, systemDao, storage, params, validation));
		server.setPagingProvider(paging);
		if (partitions.isPartitioningEnabled()) {
			server.setTenantIdentificationStrategy(new UrlBaseTenantIdentificationStrategy());
			OrganisationPartitions interceptor = new OrganisationPartitions(partitionLookup);
			interceptor.setPartitionSettings(partitions);
			interceptors.registerInterceptor(interceptor);
		}
		return server;
	}

	/**
	 * HAPI makes a placeholder of what a reference points to and it does not have. When that resource arrives at the same
	 * moment, HAPI 8.8 lays the placeholder over it as version 2. Refused here, the writer that refers is tried again, by itself
	 * or by HAPI, and finds the resource.
	 */
	@Interceptor
	public static class PlaceholdersStandBack {
		@Hook(Pointcut.STORAGE_PRESTORAGE_RESOURCE_UPDATED)
		public void updated(IBaseResource before, IBaseResource after) {
			if (before != null && isPlaceholder(after) && !isPlaceholder(before) && holdsSomething(before)) {
				throw new ResourceVersionConflictException("A placeholder is not laid over " + after.getIdElement().toUnqualifiedVersionless().getValue());
			}
		}

		/** What was deleted is shown to interceptors as an id and meta alone: HAPI makes a placeholder in its place, as it always did. */
		private static boolean holdsSomething(IBaseResource resource) {
			return !(resource instanceof Base base) || base.children().stream()
					.anyMatch(child -> child.hasValues() && !Set.of("id", "meta").contains(child.getName()));
		}

		private static boolean isPlaceholder(IBaseResource resource) {
			return resource instanceof IBaseHasExtensions has
					&& has.getExtension().stream().anyMatch(extension -> HapiExtensions.EXT_RESOURCE_PLACEHOLDER.equals(extension.getUrl()));
		}
	}

	/**
	 * Honours "X-Retry-On-Version-Conflict: retry; max-retries=n", which is ignored otherwise. An update that names no version takes
	 * whatever is there, and so also a placeholder that somebody's reference makes at the same moment: it is tried again as well,
	 * instead of being answered with 409. Who names a version is told of the conflict.
	 */
	@Interceptor
	public static class ConflictsTryAgain extends UserRequestRetryVersionConflictsInterceptor {
		private static final int RETRIES = 5;

		@Override
		@Hook(value = Pointcut.STORAGE_VERSION_CONFLICT, order = 100)
		public ResourceVersionConflictResolutionStrategy check(RequestDetails request) {
			ResourceVersionConflictResolutionStrategy asked = super.check(request);
			boolean unnamed = request != null && request.getRestOperationType() == RestOperationTypeEnum.UPDATE
					&& request.getHeader("If-Match") == null;
			if (!asked.isRetry() && unnamed) {
				asked.setRetry(true);
				asked.setMaxRetries(RETRIES);
			}
			return asked;
		}
	}

	/** Makes the partition of a tenant when it is first named. HAPI's own interceptor refuses tenants that nobody made. */
	public static class OrganisationPartitions extends RequestTenantPartitionInterceptor {
		private final IPartitionLookupSvc lookup;

		OrganisationPartitions(IPartitionLookupSvc lookup) {
			this.lookup = lookup;
		}

		@Override
		protected RequestPartitionId extractPartitionIdFromRequest(RequestDetails request) {
			String tenant = request.getTenantId();
			if (tenant == null || tenant.isBlank() || request instanceof SystemRequestDetails) {
				return super.extractPartitionIdFromRequest(request);
			}
			String name = nameOf(tenant);
			return RequestPartitionId.fromPartitionIdAndName(known(name).getId(), name);
		}

		/** Names of partitions have no dots, and DEFAULT is taken: no two tenants have the same. */
		static String nameOf(String tenant) {
			return "org-" + tenant.replace("_", "__").replace(".", "_d");
		}

		private PartitionEntity known(String name) {
			try {
				return lookup.getPartitionByName(name);
			} catch (ResourceNotFoundException absent) {
				return made(name);
			}
		}

		private synchronized PartitionEntity made(String name) {
			try {
				PartitionEntity entity = new PartitionEntity().setId(lookup.generateRandomUnusedPartitionId()).setName(name);
				return lookup.createPartition(entity, null);
			} catch (InvalidRequestException taken) {
				// Another request was faster.
				lookup.invalidateCaches();
				return lookup.getPartitionByName(name);
			}
		}
	}

	@Bean
	public ServletRegistrationBean<RestfulServer> fhirServlet(RestfulServer server) {
		ServletRegistrationBean<RestfulServer> servlet = new ServletRegistrationBean<>(server, "/fhir/*");
		servlet.setName("fhir");
		servlet.setLoadOnStartup(1);
		return servlet;
	}
}
